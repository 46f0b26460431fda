"""The 53 tasks of CLR out of the SKILL collection."""
