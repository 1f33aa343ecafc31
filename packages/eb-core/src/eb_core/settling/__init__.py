"""Problems, states and the dynamics that settle them."""
