"""Down-sampled ImageNet, 32 x 32, from its pickles."""
