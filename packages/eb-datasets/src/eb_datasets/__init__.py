"""Data sets: the handwritten digits that ship with scikit-learn."""
