"""Local lateral inhibition, and associative memories."""
