"""AffectNet: faces with one of seven expressions."""
