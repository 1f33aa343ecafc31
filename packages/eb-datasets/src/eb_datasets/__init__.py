"""Data sets: digits that ship with scikit-learn, MNIST and its kin, CIFAR-10, and your own arrays and tables."""
