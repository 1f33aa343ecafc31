"""The device time that one start of a training may use."""

from collections.abc import Mapping

from eb_core.learning.usage import duration
from eb_core.registry import RunError
from eb_core.training.settings import TrainerSettings


class BudgetSpentError(RunError):
    """The device time of this start is used up: the training has stopped between two batches, and can go on.

    Its exit code is that of sysexits.h for "try again later", so that a script can tell it from a failure.
    """

    exit_code = 75


def require_budget(settings: TrainerSettings, usage: Mapping[str, float]) -> None:
    """Stop a training that has used its device time; `usage` is what its session says.

    Raises:
        BudgetSpentError: it has.
    """
    budget, used = settings.device_seconds, usage.get("seconds", 0.0)
    if budget is not None and used >= budget:
        raise BudgetSpentError(
            f"the device time is used up: {duration(used)} of {duration(budget)}",
            origin=f"[trainer] device_seconds = {budget:g}",
            advice="with --resume it goes on for as long again",
        )
