"""CLEAR-10 and CLEAR-100, one configuration per bucket of time."""
