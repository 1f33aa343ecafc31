"""What the trainer can be told: the `[trainer]` section of a recipe."""

from collections.abc import Mapping
from typing import Literal

from eb_core.registry import configurable, option


@configurable
class TrainerSettings:
    """Optimiser, schedule, budget, model selection, seed, machine and checkpoints of a run."""

    epochs: int = option(default=10, help="passes over the training split", ge=1)
    batch_size: int = option(default=32, help="samples of one gradient estimate; the last, partial batch is kept", ge=1)
    optimizer: Literal["sgd", "adam"] = option(default="adam", help="torch's SGD or Adam")
    lr: float = option(default=0.003, help="learning rate of every parameter that no pattern names", gt=0)
    layer_lr: Mapping[str, float] = option(
        default={},
        help='learning rates by name, {"edges.input-*" = 0.06}; the last pattern that fits wins',
        ge=0,
    )
    momentum: float = option(default=0.0, help="momentum of SGD", ge=0, lt=1, only_with={"optimizer": ("sgd",)})
    weight_decay: float = option(default=0.0, help="L2 coefficient, on weights and biases", ge=0)
    schedule: Literal["constant", "cosine", "exponential"] = option(
        default="constant", help="learning rate over the epochs; stepped once per epoch"
    )
    lr_min: float = option(
        default=2e-6, help="where the cosine schedule ends", ge=0, only_with={"schedule": ("cosine",)}
    )
    lr_decay: float = option(
        default=0.99,
        help="factor per epoch of the exponential schedule",
        gt=0,
        le=1,
        only_with={"schedule": ("exponential",)},
    )
    validation: float = option(
        default=0.1, help="share of the training split set aside for model selection; 0 for none", ge=0, lt=1
    )
    select: Literal["best", "last"] = option(
        default="best", help="keep the weights of the best epoch on the validation split, or of the last epoch"
    )
    seed: int = option(default=0, help="seed of every random stream", ge=0)
    dtype: Literal["float32", "float64"] = option(default="float32", help="precision of weights and states")
    device: str = option(default="cpu", help="torch device, such as cpu or cuda:0")
    threads: int | None = option(default=None, help="CPU threads of torch; none leaves torch's choice", ge=1, le=256)
    checkpoint_seconds: float | None = option(
        default=60.0, help="save the state this often within an epoch, too; none for epochs only", unit="s", gt=0
    )
    device_seconds: float | None = option(
        default=None,
        help="device time of one start: then it stops with a checkpoint, and --resume goes on for as long again",
        unit="s",
        gt=0,
    )
    checkpoint_batches: int | None = option(
        default=None, help="save the state after so many batches of an epoch, too", ge=1
    )
