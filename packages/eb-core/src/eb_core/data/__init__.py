"""Data: samples with labels, from data sets or from whatever arrays a user has."""
