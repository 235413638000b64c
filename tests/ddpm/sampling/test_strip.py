"""The sampling trajectory in frames: which steps are shown, of the first batch only."""

import pytest
import torch
from stages.ddpm.ddpm_sample import first_batch, spread

from difflab.ddpm.sampling.series_sampler import SeriesSampler
from fakes.tiny import denoiser, names, sampling


def test_frames_are_spread_evenly_from_the_first_to_the_last():
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]


def test_few_steps_are_all_shown_once():
    assert spread([3, 2, 1], 20) == [3, 2, 1]


def test_one_frame_is_the_first_estimate():
    assert spread([3, 2, 1], 1) == [3]


@pytest.mark.parametrize("first", [[3, 2, 1], [3, 2, 2, 1, 1], [3]])
def test_the_second_batch_is_passed_over(first):
    """Heun stands twice on the levels between; one step is a batch by itself."""
    assert first_batch([(float(s), n) for n, s in enumerate([*first] * 3)]) == list(range(len(first)))


@pytest.mark.parametrize("method", ["ddim", "heun", "dpm++", "euler_maruyama"])
def test_every_sampler_shows_its_first_batch_alone(method):
    made = SeriesSampler(denoiser().eval(), (1, 8, 8), [])

    def steps(count):
        found = []

        def keep(sigma, x, x0):
            found.append((sigma, x0))

        settings = sampling(sampler=method)
        made.images(names(count), made.wanted(count), settings, seed=0, batch_size=3, on_step=keep)
        return first_batch(found)

    whole = steps(3)
    assert len(whole) >= 5
    for one, other in zip(steps(7), whole, strict=True):
        torch.testing.assert_close(one, other)
