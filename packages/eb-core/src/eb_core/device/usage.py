"""What a device was used for: counted where it is called, kept by epoch in the metrics and in all in the manifest."""

import attrs

from eb_core.learning.usage import since, together

__all__ = ["Usage", "since", "together"]


@attrs.define
class Usage:
    """Sums since the session was opened.

    Attributes:
        settles: phases of batches that were settled, each read counted; samples: the same in samples.
        programs: how often it was programmed.
        seconds: device time, as the device reports it, or its capabilities say, or else as the calls took.
        retries: calls made again after a transient error; reopened: how often the device was lost and opened anew.
        clipped: couplings and fields that lay outside the range of the device.
        joules: energy, where the capabilities give the power.
    """

    settles: int = 0
    samples: int = 0
    programs: int = 0
    seconds: float = 0.0
    retries: int = 0
    reopened: int = 0
    clipped: int = 0
    joules: float = 0.0

    def figures(self) -> dict[str, float]:
        """All of them by name, without those that are 0."""
        return {name: value for name, value in attrs.asdict(self).items() if value}
