"""FEMNIST, LEAF's hand-written characters by user."""
