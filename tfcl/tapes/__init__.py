"""Gradient tapes."""
