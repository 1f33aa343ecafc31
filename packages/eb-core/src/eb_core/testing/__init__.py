"""The conformance kit: what each kind of component promises, as functions that raise `ConformanceError`.

    from eb_core.testing import check_relaxer

    def test_my_flow_keeps_its_promises():
        check_relaxer(MyFlow(), HopfieldEnergy())

Built-in components get no exemption: the suite's own tests run these checks over everything registered.
"""

from eb_core.diagnostics.nets import coupling_norm, random_network
from eb_core.diagnostics.problems import all_phases, free_problem, random_state, residual_by_definition
from eb_core.learning.fit import misfit
from eb_core.testing.build_checks import check_dataset, check_model
from eb_core.testing.cost_checks import check_cost
from eb_core.testing.device_checks import check_backend
from eb_core.testing.edge_checks import check_edge
from eb_core.testing.energy_checks import check_energy
from eb_core.testing.relaxer_checks import check_relaxer, check_settles
from eb_core.testing.rule_checks import check_as_trained, check_rule
from eb_core.testing.verdict import ConformanceError

__all__ = [
    "ConformanceError",
    "all_phases",
    "check_as_trained",
    "check_backend",
    "check_cost",
    "check_dataset",
    "check_edge",
    "check_energy",
    "check_model",
    "check_relaxer",
    "check_rule",
    "check_settles",
    "coupling_norm",
    "free_problem",
    "misfit",
    "random_network",
    "random_state",
    "residual_by_definition",
]
