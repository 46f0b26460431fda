"""TU-Berlin sketches."""
