"""What every dynamics does from step to step is what it did when its trajectories were recorded."""

import numpy as np
import pytest
from golden_trajectories import cases, iterated, read, relaxed

GOLDEN = read()
CASES = {name: (relaxer, problem) for name, relaxer, problem in cases()}


def test_every_trajectory_that_is_run_has_a_record() -> None:
    assert {*GOLDEN} == {*CASES}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_relax_and_iterate_end_where_they_ended_when_they_were_recorded(name: str) -> None:
    relaxer, problem = CASES[name]
    assert np.abs(relaxed(relaxer, problem) - GOLDEN[name]).max() <= 1e-12
    assert np.abs(iterated(relaxer, problem) - GOLDEN[name]).max() <= 1e-12
