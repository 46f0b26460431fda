"""MODES: a generated stream of points, eight Gaussian blobs."""
