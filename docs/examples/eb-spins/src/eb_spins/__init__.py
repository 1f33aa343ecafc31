"""Binary spins, annealed."""
