"""Teaching a subject to a model: the step function over the common training loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from difflab.core.base import rng
from difflab.core.base.runtime import graceful_stop
from difflab.personal.priors import ClassImages, output_loss
from difflab.training.data_order import SampleStream
from difflab.training.loop import Loop
from difflab.training.optimizer import adamw_with_cosine, autocast_of

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.personal.base import Base
    from difflab.training.curve import Row
    from difflab.training.params import FitParams


@dataclass(frozen=True)
class Pictures:
    """What a subject is learnt from.

    Attributes:
        latents: float32 [n, C, h, w].
        texts: for each picture its prompts, of which a step takes a random one.
        class_texts: the same prompts of any member of the class.
        weights: of the error at each place of the latents, [n, 1, h, w] (`mask_weights`); None: all alike.
    """

    latents: Tensor
    texts: Sequence[Sequence[str]]
    class_texts: Sequence[Sequence[str]]
    weights: Tensor | None = None


@dataclass(frozen=True)
class Preservation:
    """The prior: pictures of the class, or the frozen base whose output for the class is kept; neither: none."""

    weight: float
    images: ClassImages | None = None
    output_of: "Base | None" = None


def mask_weights(masks: "Tensor", size: tuple[int, int]) -> Tensor:
    """Masks [n, S, S] in 0..1 at the size of the latents, [n, 1, h, w], with mean 1 over each picture."""
    small = functional.adaptive_avg_pool2d(masks[:, None], size)
    return small / small.mean((2, 3), keepdim=True)


def train_subject(
    base: "Base",
    trained: nn.Module,
    pictures: Pictures,
    prior: Preservation,
    settings: "FitParams",
    *,
    seed: int,
    runtime: "RuntimeParams",
    scratch: Path,
    what: str,
    log: Callable[..., None] = lambda values, step: None,
    save_steps: Sequence[int] = (),
    save: Callable[[int], None] = lambda step: None,
) -> "list[Row]":
    """Train what `methods.prepare` made trainable on a few pictures.

    Every picture of a visit has noise of its own; the timesteps are spread evenly over a batch.

    Args:
        seed: of order, captions, noise and timesteps.
        save: called after each of `save_steps`, in eval mode.
        scratch, what, log: see `training.loop.Loop`.

    Returns:
        The curve.
    """
    count, device = settings.batch_size, base.device
    stream = SampleStream(rng.id_keys([str(n) for n in range(len(pictures.texts))]), seed)
    optimizer, schedule = adamw_with_cosine(trained, settings)
    autocast = autocast_of(runtime)
    identity = [settings.model_dump(), what, seed, [list(texts) for texts in pictures.texts]]
    with graceful_stop(what) as stop:
        loop = Loop(
            model=trained, optimizer=optimizer, schedule=schedule, settings=settings, what=what, scratch=scratch,
            stop=stop, identity_of=identity, seed=seed, samples_per_step=count, row_interval=settings.log_interval,
            log=log, save_steps=save_steps, save=save,
        )  # fmt: skip
        for step in loop.steps():
            index, keys = stream.take(step * count, count)
            rows = index.tolist()
            x0 = pictures.latents[rows].to(device)
            noise = _noise(keys, seed, "personal noise", x0)
            noisy, timesteps, target = base.noised(x0, noise, _places(count, seed, "personal places", step, device))
            texts = _chosen(pictures.texts, rows, keys, seed)
            with autocast:
                predicted = base.predict(noisy, timesteps, base.encode(texts))
                error = (predicted - target).square()
                loss = error.mean() if pictures.weights is None else (pictures.weights[rows].to(device) * error).mean()
                scalars = {"subject_loss": loss.detach()}
                if prior.images is not None:
                    places = _places(count, seed, "personal class places", step, device)
                    class_noise = _noise(keys, seed, "personal class noise", x0)
                    kept = prior.images.loss(base, count, class_noise, places, seed, step)
                    scalars["prior_loss"], loss = kept.detach(), loss + prior.weight * kept
                elif prior.output_of is not None:
                    texts = _chosen(pictures.class_texts, rows, keys, seed)
                    kept = output_loss(base, prior.output_of, noisy, timesteps, texts)
                    scalars["prior_loss"], loss = kept.detach(), loss + prior.weight * kept
            loss.backward()
            loop.update(loss, **scalars)
    return loop.curve.rows


def _noise(keys: Tensor, seed: int, purpose: str, like: Tensor) -> Tensor:
    return rng.normal(rng.fold(keys, rng.key(seed, purpose)), like.shape[1:]).to(like.device)


def _places(count: int, seed: int, purpose: str, step: int, device: torch.device) -> Tensor:
    """One place in each of `count` equal parts of (0, 1), in random order."""
    draws = rng.numpy_rng(seed, purpose, step)
    places = (draws.permutation(count) + draws.random()) / count
    return torch.from_numpy(places).float().clamp(1e-4, 1 - 1e-4).to(device)


def _chosen(texts: Sequence[Sequence[str]], rows: Sequence[int], keys: Tensor, seed: int) -> list[str]:
    draws = rng.uniform(rng.fold(keys, rng.key(seed, "personal captions")))
    return [texts[row][int(draw * len(texts[row]))] for row, draw in zip(rows, draws.tolist(), strict=True)]
