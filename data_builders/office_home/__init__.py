"""Office-Home: 65 kinds of everyday objects in four domains."""
