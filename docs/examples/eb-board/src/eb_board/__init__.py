"""An analog board as a backend."""
