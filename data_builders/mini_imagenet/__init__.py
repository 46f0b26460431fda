"""mini-ImageNet from its pickles, with noise."""
