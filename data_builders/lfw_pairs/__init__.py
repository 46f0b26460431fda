"""Labeled Faces in the Wild: the verification pairs."""
