"""An associative memory."""

import torch

from eb_core import Dense, Lateral, Network


def hebbian(patterns, strength=2.0):
    """A net of one layer that stores +-1 patterns (count, units) for hard-tanh units.

    J = strength / units * sum_p p p', without diagonal; at strength <= 1 the self-energy 1/2 s^2 of a unit wins and
    every state decays to zero. Use it with HopfieldEnergy(activation="hard-tanh", output="boxed").
    """
    size = patterns.shape[1]
    network = Network(
        [("input", (1,)), ("units", (size,))], [Dense("input", "units", (1,), (size,)), Lateral("units", (size,))]
    ).to(patterns.dtype)
    with torch.no_grad():
        weight = strength * patterns.t() @ patterns / size
        network.get_parameter("edges.units-units.weight").copy_(weight.triu(1))
    return network
