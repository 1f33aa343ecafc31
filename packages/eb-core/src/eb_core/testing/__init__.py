"""The conformance kit: what each kind of component promises, behind three doors.

    from eb_core.testing import relaxer_suite

    @pytest.mark.parametrize("check", relaxer_suite(MyFlow()), ids=str)
    def test_my_flow_keeps_its_promises(check):
        check()

`KIND_suite` is a test for each promise; `check_KIND` asks for all at once, and returns how many cases it looked at;
`eb check KIND:NAME` prints what each check found, and `report_on` returns it. Built-in components get no exemption: the
suite's own tests run these checks over everything registered.
"""

from eb_core.diagnostics.nets import coupling_norm, random_network
from eb_core.diagnostics.problems import all_phases, free_problem, random_state, residual_by_definition
from eb_core.learning.fit import misfit
from eb_core.testing.build_checks import check_dataset, check_model, dataset_suite, model_suite
from eb_core.testing.cost_checks import check_cost, cost_suite
from eb_core.testing.device_checks import backend_suite, check_backend
from eb_core.testing.edge_checks import check_edge
from eb_core.testing.energy_checks import check_energy, energy_suite
from eb_core.testing.kit import Check, Suite, report_on
from eb_core.testing.relaxer_checks import check_relaxer, check_settles, relaxer_suite
from eb_core.testing.report import Report
from eb_core.testing.rule_checks import check_as_trained, check_rule, rule_suite
from eb_core.testing.verdict import ConformanceError

__all__ = [
    "Check",
    "ConformanceError",
    "Report",
    "Suite",
    "all_phases",
    "backend_suite",
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
    "cost_suite",
    "coupling_norm",
    "dataset_suite",
    "energy_suite",
    "free_problem",
    "misfit",
    "model_suite",
    "random_network",
    "random_state",
    "relaxer_suite",
    "report_on",
    "residual_by_definition",
    "rule_suite",
]
