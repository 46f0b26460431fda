"""MOONS: a generated stream of points, four pairs of half circles."""
