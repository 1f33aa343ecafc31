"""The CIM energy: its force, its unit by brute force, its threshold."""

import itertools

import pytest
import torch

from eb_core import Dense, Layer, Network, Problem, Registry, Setup, SquaredError, UsageError
from eb_core.diagnostics.problems import nudged
from eb_core.learning.fit import notices
from eb_core.settling.coupling import coupling_norm
from eb_core.testing import check_energy, free_problem
from eb_dynamics_cim.energy import CimEnergy
from eb_dynamics_cim.unit import least_amplitude

OUTPUT = Layer("output", (1,), "output")
GRID = torch.linspace(0, 1, 20001, dtype=torch.float64)
PUMPS = (0.0, 0.3, 0.7, 1.0, 1 + 5e-10, 1.02, 1.3, 2.5)
FIELDS = torch.cat([torch.linspace(-1.5, 2.5, 61), torch.tensor([0.0, 1e-9, -1e-9, 1e-3, -1e-3])]).double()


def unit_energy(x: torch.Tensor, pump: float, f: torch.Tensor, beta: float, y: float) -> torch.Tensor:
    return (1 - pump) / 2 * x**2 + x**4 / 4 - f * x + beta / 2 * (x - y) ** 2


@pytest.mark.parametrize("pump", [0.0, 0.3, 0.6, 1.0, 1.5])
def test_the_energy_keeps_its_promises_below_and_above_threshold(pump: float) -> None:
    assert check_energy(CimEnergy(pump=pump)) == 72


@pytest.mark.parametrize(("pump", "beta"), [*itertools.product(PUMPS, (0.0, 0.2, -0.2, 0.7, -0.7))])
@pytest.mark.parametrize("per_sample", [False, True])
def test_the_unit_response_is_the_minimum_by_brute_force(pump: float, beta: float, per_sample: bool) -> None:
    for y in (0.0, 1.0):
        values = unit_energy(GRID, pump, FIELDS.unsqueeze(1), beta, y)
        least, where = values.min(1)
        a = torch.full((1, len(FIELDS) if per_sample else 1, 1), beta, dtype=torch.float64)
        field = FIELDS.view(1, -1, 1) + beta * y
        found = CimEnergy(pump=pump).minimize_unit(OUTPUT, field, torch.full_like(field[0], 0.5), a)
        found = found.flatten()
        assert float(found.min()) >= 0
        assert float(found.max()) <= 1
        assert float((unit_energy(found, pump, FIELDS, beta, y) - least).max()) <= 1e-14
        deep = values.clone()
        deep[(GRID - GRID[where].unsqueeze(1)).abs() < 0.05] = torch.inf
        alone = deep.min(1).values > least + 1e-6
        assert bool(alone.any())
        assert float((found - GRID[where])[alone].abs().max()) <= 1.01 * float(GRID[1])


@pytest.mark.parametrize("c", [1.0, 1e-3, 0.0, -1e-3, -0.4, -1.5])
def test_a_tensor_of_curvatures_gives_what_each_curvature_gives_alone(c: float) -> None:
    mixed = torch.tensor([c, 0.7, -0.3, 0.0], dtype=torch.float64).repeat_interleave(len(FIELDS))
    together = least_amplitude(mixed, FIELDS.repeat(4))[: len(FIELDS)]
    torch.testing.assert_close(together, least_amplitude(c, FIELDS), rtol=0, atol=1e-15)


@pytest.mark.parametrize("c", [1.0, 1e-3, 0.0, -0.4])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_the_slope_of_the_unit_response_is_that_of_the_root_and_always_finite(c: float, as_tensor: bool) -> None:
    f = FIELDS.clone().requires_grad_()
    x = least_amplitude(torch.full_like(FIELDS, c) if as_tensor else c, f)
    (slope,) = torch.autograd.grad(x.sum(), f)
    assert bool(torch.isfinite(slope).all())
    inside = (x > 1e-2) & (x < 1)
    torch.testing.assert_close(slope[inside], (1 / (3 * x**2 + c)).detach()[inside], rtol=1e-9, atol=0)


def test_single_precision_keeps_the_response_to_single_precision() -> None:
    for pump in PUMPS:
        precise = least_amplitude(1 - pump, FIELDS)
        jumps = (least_amplitude(1 - pump, FIELDS + 1e-5) - least_amplitude(1 - pump, FIELDS - 1e-5)).abs() > 0.05
        rough = least_amplitude(1 - pump, FIELDS.float()).double()
        assert float((rough - precise)[~jumps].abs().max()) < 2e-6


def test_nudges_stay_below_the_threshold_of_the_output() -> None:
    energy = CimEnergy(pump=0.3)
    problem = free_problem(energy, "one hidden layer")
    nudged(problem, SquaredError(), -0.69)
    with pytest.raises(UsageError, match="no minimum"):
        nudged(problem, SquaredError(), -0.7)
    assert CimEnergy(pump=0.3).output_curvature == pytest.approx(0.7)
    for pump in (1.0, 1.4):
        energy = CimEnergy(pump=pump)
        assert isinstance(nudged(free_problem(energy, "one hidden layer"), SquaredError(), -0.5), Problem)


def chain(energy: CimEnergy, hidden: list[int], factor: float = 1.0) -> Network:
    """784-hidden-10 with the energy's own start; the gain of the inner edges times `factor`."""
    sizes = [784, *hidden, 10]
    names = ["input", *(f"hidden{index}" for index in range(1, len(hidden) + 1)), "output"]
    network = Network(
        [(name, (size,)) for name, size in zip(names, sizes, strict=True)],
        [
            Dense(names[i], names[i + 1], (sizes[i],), (sizes[i + 1],), energy.gain * (factor if i else 1))
            for i in range(len(sizes) - 1)
        ],
    ).double()
    energy.init_(network, torch.Generator().manual_seed(0))
    return network


@pytest.mark.parametrize("hidden", [[120], [500], [120, 120, 120]])
def test_the_default_start_is_below_threshold(hidden: list[int]) -> None:
    energy = CimEnergy()
    network = chain(energy, hidden)
    assert coupling_norm(network) < 1 - energy.pump
    assert notices(Setup(energy=energy, network=network)) == []


def test_above_threshold_the_notice_gives_a_gain_and_a_pump_that_help() -> None:
    energy = CimEnergy(pump=0.8)
    network = chain(energy, [120])
    (told,) = notices(Setup(energy=energy, network=network))
    norm = coupling_norm(network)
    assert f"coupling norm {norm:.3g} is not below 1 - pump = 0.2" in told
    factor = float(told.split("less than ")[1].split(",")[0])
    pump = float(told.split("pump below ")[1])
    assert notices(Setup(energy=energy, network=chain(energy, [120], 0.98 * factor))) == []
    assert notices(Setup(energy=energy, network=chain(energy, [120], 1.05 * factor))) != []
    assert notices(Setup(energy=CimEnergy(pump=pump - 0.01), network=network)) == []
    assert notices(Setup(energy=CimEnergy(pump=pump + 0.01), network=network)) != []


def test_a_pump_above_one_is_said_to_make_two_wells() -> None:
    (told,) = notices(Setup(energy=CimEnergy(pump=1.2), network=chain(CimEnergy(), [120])))
    assert "two wells" in told
    assert "ramp" in told


def test_every_component_of_this_package_loads() -> None:
    registry = Registry.installed()
    records = {
        kind: [offer for offer in registry.offers(kind) if offer.plugin.distribution == "eb-dynamics-cim"]
        for kind in ("energy", "relaxer", "recipe")
    }
    assert [len(found) for found in records.values()] == [1, 3, 1]
    for kind in ("energy", "relaxer"):
        for offer in records[kind]:
            registry.load(kind, offer.component)()
