"""Deep resistive networks: node voltages, ideal diodes, conductances."""
