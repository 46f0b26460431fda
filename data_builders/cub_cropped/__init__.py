"""CUB-200-2011, birds cut to their bounding boxes."""
