"""Work in the queue: counted, cancelled, and the models as they were afterwards."""

import threading
from pathlib import Path

import numpy as np
import pytest

from difflab.app.looking import work
from difflab.cli.attention_capture import Sampling
from difflab.cli.sampling import Request
from difflab.core.base.errors import DifflabError

from .conftest import A, B


def passes(models) -> int:
    """Hooks that are on the transformer, and adapters."""
    _, pipeline = models.load("transformer")
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in pipeline.transformer.modules())
    return hooks + len(pipeline.get_list_adapters())


def test_the_adapters_of_the_study_are_found_one_by_one(models):
    assert work.trained_adapters() == [A, B]


def test_each_step_of_each_picture_is_counted(models):
    run = work.Run(steps=3 * 2)
    made = work.side_by_side(models, Request("a cat", num_inference_steps=3, guidance_scale=2.0), ("sd3", A), run)
    assert list(made.pictures) == ["base", "blip2-zero-seed-0"]
    assert (run.begun, run.done, run.share) == (True, 6, 1.0)
    assert not passes(models)


def test_what_is_cancelled_ends_at_the_next_step_and_leaves_the_models_as_they_were(models):
    request = Request("a cat", num_inference_steps=3, guidance_scale=2.0)
    before = work.side_by_side(models, request, ("sd3", A), work.Run(6)).pictures

    class StoppedAfter(threading.Event):
        def is_set(self):
            return run.done >= 4  # in the middle of the adapter's picture

    run = work.Run(6, stop=StoppedAfter())
    with pytest.raises(work.Cancelled):
        work.side_by_side(models, request, ("sd3", A), run)
    assert run.done == 4
    assert not passes(models)
    run = work.Run(6, stop=StoppedAfter())
    with pytest.raises(work.Cancelled):
        work.captured(models, Sampling(("a cat",), ("sd3", A), 3, 2.0), run)
    assert not passes(models)
    after = work.side_by_side(models, request, ("sd3", A), work.Run(6)).pictures
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_what_was_cancelled_before_its_turn_does_not_begin(models):
    run = work.Run(6)
    run.stop.set()
    for begin in (
        lambda: work.side_by_side(models, Request("a cat"), ("sd3",), run),
        lambda: work.captured(models, Sampling(("a cat",)), run),
        lambda: work.drift_of(models, [Path(A)], run),
    ):
        with pytest.raises(work.Cancelled):
            begin()
    assert run.done == 0


@pytest.mark.parametrize(
    ("request_", "chosen", "line"),
    [
        (Request(" "), ("sd3",), "a prompt is empty"),
        (Request("a"), ("sd3", A, B, "c", "d"), "5 models: the base and up to 3 adapters are shown side by side"),
        (Request("a"), ("models/personal/cat",), "is an adapter of a U-Net"),
        (Request("a", guidance_scale=0.5), ("sd3",), "cannot take guidance 0.5: the least is 1"),
        (Request("a", num_inference_steps=0), ("sd3",), "cannot take 0 steps"),
        (Request("a"), (A, A), "two models are called blip2-zero-seed-0"),
    ],
)
def test_what_cannot_be_made_is_one_line(models, request_, chosen, line):
    with pytest.raises(DifflabError, match=line):
        work.side_by_side(models, request_, chosen, work.Run(1))
    assert not passes(models)


def test_an_adapter_s_drift_is_that_of_the_report(models):
    found = work.drift_of(models, [Path(A), Path(B)], work.Run(0))
    assert list(found["adapter"].unique()) == ["blip2-zero/seed-0", "llama3-zero/seed-0"]
    assert set(found["block"]) == {0, 1}
    assert not passes(models)
