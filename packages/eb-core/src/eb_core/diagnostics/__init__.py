"""Measurements: random nets and their phases, dynamics and rules against theory, several dynamics side by side."""
