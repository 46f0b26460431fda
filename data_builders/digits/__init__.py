"""The 8 x 8 handwritten digits that scikit-learn ships."""
