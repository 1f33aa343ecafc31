"""From a model, an energy and the shapes of the data to a network with its first weights."""

import torch

from eb_core.learning.fit import require_fit
from eb_core.network.network import Model, Network
from eb_core.physics.energy import Energy
from eb_core.registry import EbError, UsageError
from eb_core.registry.setup import Setup
from eb_core.registry.wording import told


def make_network(
    model: Model,
    energy: Energy,
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """A network built by `model`, its weights drawn by `energy`; drawn in float64 on the CPU, then converted.

    Raises:
        UsageError: the model cannot be built for these inputs, or the energy cannot run on this wiring.
    """
    try:
        network = model.build(input_shape, outputs).double()
    except EbError:
        raise
    except Exception as error:
        raise UsageError(
            f"the network cannot be built for inputs {input_shape} and {outputs} outputs: {told(error)}",
            origin="[model]",
            advice="change its options; a network too large for the memory needs fewer units",
        ) from error
    require_fit(Setup(model=model, energy=energy, network=network))
    energy.init_(network, generator)
    return network.to(device=device, dtype=dtype)
