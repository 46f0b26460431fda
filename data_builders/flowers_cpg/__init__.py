"""Oxford Flowers-102 with the split of CPG and Piggyback."""
