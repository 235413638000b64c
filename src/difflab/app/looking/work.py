"""What is computed for a visitor in the queue: pictures side by side, pictures with their attention, the drift of adapters.

Each is given the models that all visitors share and leaves them as they were, also where it is cancelled.
"""

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.cli.adapter_report import adapters, drifts
from difflab.cli.attention_capture import Sampling, adapters_of, capture
from difflab.cli.sampling import Request, check_prompt
from difflab.cli.side_by_side import Pictures, make, options_of
from difflab.core.base.errors import DifflabError
from difflab.sd3.artifacts.adapters import FILE_NAME
from difflab.sd3.pipeline import study_components

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from difflab.app.models import Models
    from difflab.attention.views import Made

TRAINED = Path("models/finetune")
MOST_ADAPTERS = 3


class Cancelled(Exception):
    """The visitor does not want it any more."""


@dataclass
class Run:
    """Work in progress: read by the page, written by the thread that computes.

    Attributes:
        steps: of sampling in all.
        done: steps that are made.
        begun: whether its turn has come.
    """

    steps: int
    done: int = 0
    begun: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def share(self) -> float:
        return min(1.0, self.done / max(1, self.steps))

    def check(self) -> None:
        """Raise `Cancelled` where the visitor has cancelled."""
        if self.stop.is_set():
            raise Cancelled


def trained_adapters() -> list[str]:
    """The folders of the adapters of the study that lie under models/finetune, each training by itself."""
    return sorted(str(path.parent) for path in TRAINED.glob(f"*/seed-*/{FILE_NAME}"))


def side_by_side(models: "Models", request: Request, chosen: Sequence[str], run: Run) -> Pictures:
    """The pictures of a prompt by the base and its adapters, the bytes that `difflab generate` gives."""
    run.begun = True
    run.check()
    check_prompt(request.prompt)
    if len(chosen) > MOST_ADAPTERS + 1:
        raise DifflabError(f"{len(chosen)} models: the base and up to {MOST_ADAPTERS} adapters are shown side by side")
    base, pipeline = models.load("transformer")
    named = adapters_of(chosen, base, pipeline)
    with counted(pipeline.transformer, run):
        return make(base, pipeline, list(named.values()), request, options_of(request, base.defaults))


def captured(
    models: "Models",
    sampling: Sampling,
    run: Run,
    blocks: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> "list[Made]":
    """The pictures of each prompt by each model with what was attended to, in memory; None: all blocks, all steps."""
    run.begun = True
    run.check()
    base, pipeline = models.load("transformer")
    with counted(pipeline.transformer, run):
        return capture(sampling, base, pipeline, blocks=blocks, steps=steps)


def drift_of(models: "Models", folders: Sequence[Path], run: Run) -> "pd.DataFrame":
    """By how much adapters move each layer: the rows of `difflab adapter-report`'s drift.csv."""
    run.begun = True
    run.check()
    _, pipeline = models.load("transformer")
    return drifts(pipeline.transformer, adapters(folders), study_components())[0]


@contextmanager
def counted(network: "nn.Module", run: Run) -> Generator[None]:
    """Count the network's passes in `run` inside the block, and end it at the next one where the visitor has cancelled."""

    def begin(module: "nn.Module", args: tuple) -> None:
        run.check()
        run.done += 1

    hook = network.register_forward_pre_hook(begin)
    try:
        yield
    finally:
        hook.remove()
