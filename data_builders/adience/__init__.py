"""Adience: faces in eight groups of age, five folds."""
