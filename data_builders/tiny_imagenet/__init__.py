"""Tiny-ImageNet."""
