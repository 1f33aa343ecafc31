"""Network recipes: the multi-layer perceptron."""
