"""A user's own pictures: a folder per task, in it one per split and class."""
