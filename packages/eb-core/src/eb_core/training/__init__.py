"""Trainer, runs and the Python API."""
