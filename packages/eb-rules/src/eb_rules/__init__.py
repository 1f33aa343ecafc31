"""Learning rules: equilibrium propagation with positive, negative and centred nudges."""
