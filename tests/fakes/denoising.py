"""Runs of the loop of the pixel models with small models that are watched."""

import os
import signal
from functools import partial

import torch
from torch import nn

from difflab.ddpm.common.conditions import conditions_for
from difflab.ddpm.training.denoiser_training import TrainingImages, train_denoiser
from difflab.ddpm.training.objective import GaussianNoise, fixed_noise, weight
from fakes.flow import runtime
from fakes.tiny import CLASSES, blobs, denoiser, names, objective, training


class Scale(nn.Module):
    """The smallest model, x0 = factor * x, with dropout; notes what it is called with."""

    def __init__(self):
        super().__init__()
        self.factor, self.dropout = nn.Parameter(torch.ones(())), nn.Dropout(0.1)
        self.calls = []

    def forward(self, x, level, condition=None):
        self.calls.append((x.detach(), level, condition))
        return self.factor * self.dropout(x)


class Watched:
    """A corruption that notes the clean images it is given; `act` is called at the n-th batch."""

    def __init__(self, corruption=None, at=None, act=lambda corrupted: corrupted):
        self.corruption = corruption or partial(fixed_noise, sigma=0.4, clipped=False)
        self.at, self.act, self.seen, self.made = at, act, [], []

    def __call__(self, x0, keys):
        self.seen.append(x0)
        self.made.append(self.corruption(x0, keys))
        return self.act(self.made[-1]) if len(self.seen) == self.at else self.made[-1]


def image_set(count=10, conditions=False):
    ids = names(count)
    told = by_class(n % len(CLASSES) for n in range(count)) if conditions else None
    return TrainingImages(ids, blobs(ids), told)


def by_class(numbers):
    """Conditions of images by the numbers of their classes."""
    return conditions_for(nn.Identity(), [CLASSES[n] for n in numbers], CLASSES)


def train(scratch, images=None, model=None, corruption=None, machine=None, seed=3, **changes):
    keep = {name: changes.pop(name) for name in ("validate", "log", "weigh") if name in changes}
    weigh = keep.pop("weigh", lambda sigma: weight(sigma, objective(weighting="min_snr")))
    model = model or denoiser()
    rows = train_denoiser(
        model,
        images or image_set(),
        corruption or gaussian(),
        weigh,
        training(**changes),
        seed=seed,
        runtime=machine or runtime(),
        scratch=scratch,
        what="toy",
        **keep,
    )
    return model, rows


def gaussian():
    return GaussianNoise(denoiser().schedule, objective())


def watched(scratch, images, steps, batch_size, **changes):
    """The clean and corrupted images of a run with the smallest model, and the calls of the model."""
    model, corruption = Scale(), Watched(changes.pop("corruption", None))
    train(
        scratch,
        images=images,
        model=model,
        corruption=corruption,
        steps=steps,
        batch_size=batch_size,
        weigh=torch.ones_like,
        **changes,
    )
    return torch.cat(corruption.seen), torch.cat([images for images, _ in corruption.made]), model.calls


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def difference(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a.parameters(), b.parameters(), strict=True))


def press_ctrl_c(corrupted):
    os.kill(os.getpid(), signal.SIGINT)
    return corrupted
