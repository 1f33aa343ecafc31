"""Data sets: digits that ship with scikit-learn, MNIST and its kin, CIFAR, SVHN, and your own arrays and tables."""
