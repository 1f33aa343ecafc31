"""Installs eb-core and the built-in plugins; holds no code of its own."""
