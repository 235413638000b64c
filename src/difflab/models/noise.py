"""The noise that the images of a text-to-image model start from."""

from collections.abc import Sequence

from torch import Tensor

from difflab.core.base import rng


def initial_noise(ids: Sequence[str], shape: tuple[int, int, int], seed: int, generation_seed: int) -> Tensor:
    """Standard normal noise, float32 [len(ids), *shape]; image i's depends on its id and the seeds only."""
    keys = rng.fold(rng.id_keys(ids), rng.key(seed, "generation noise", generation_seed))
    return rng.normal(keys, shape)
