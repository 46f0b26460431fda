"""VGGFace2, faces by identity."""
