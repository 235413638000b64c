"""Training on a loss by step number: the models of the zoo, the classifiers, the captioner."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from difflab.core.base.runtime import graceful_stop
from difflab.training.loop import Log, Loop, Validate
from difflab.training.optimizer import adamw_with_cosine

if TYPE_CHECKING:
    from difflab.training.curve import Row
    from difflab.training.params import FitParams


def fit(
    model: nn.Module,
    batch_loss: Callable[[int], dict[str, Tensor]],
    settings: "FitParams",
    *,
    scratch: Path,
    validate: Validate | None = None,
    log: Log = lambda values, step: None,
    what: str = "model",
    keep_best: bool = False,
    ema_decay: float = 0.0,
    identity_of: Sequence[Any] = (),
) -> "list[Row]":
    """Train the parameters of `model` that require a gradient: AdamW, warm-up, cosine to zero, clipping.

    Args:
        model: on its device; in eval mode on return.
        batch_loss: takes the step number (0, 1, ...), by which its data is keyed, and returns 0-d tensors: "loss" and
            any further scalars to report, of this process's share of the batch (`difflab.training.shares`).
        scratch, validate, log, what, keep_best, ema_decay, identity_of: see `Loop`. Each model of a stage has its own
            name.

    Returns:
        The curve: a row every `log_interval` steps and after the last; with `validate`, before the first too.
    """
    optimizer, schedule = adamw_with_cosine(model, settings)
    with graceful_stop(what) as stop:
        loop = Loop(
            model=model, optimizer=optimizer, schedule=schedule, settings=settings, what=what, scratch=scratch,
            stop=stop, identity_of=[settings.model_dump(), *identity_of], seed=0, samples_per_step=settings.batch_size,
            row_interval=settings.log_interval, validate=validate, log=log, keep_best=keep_best,
            ema_decay=ema_decay,
        )  # fmt: skip
        for step in loop.steps():
            scalars = batch_loss(step)
            loss = scalars.pop("loss")
            if loss.requires_grad:  # a process may have no share of a batch
                loss.backward()
            loop.update(loss, **scalars)
    return loop.curve.rows
