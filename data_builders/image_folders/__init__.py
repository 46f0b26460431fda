"""A user's own images: a folder per task, in it one per split and class."""
