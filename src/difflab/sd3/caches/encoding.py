"""Images through the autoencoder's encoder, decoded from their files ahead of it."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.images.store.tensors import to_tensor

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.images.store.image_store import ImageStore
    from difflab.sd3.params.cache import LatentCacheParams


@torch.no_grad()
def moments(vae: "AutoencoderKL", images: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean and log-variance of images [n, 3, H, W] in [-1, 1]: [n, C, h, w] each."""
    posterior = vae.encode(images.to(vae.device, vae.dtype)).latent_dist
    return posterior.mean, posterior.logvar


def encode_moments(
    vae: "AutoencoderKL",
    ids: Sequence[str],
    store_of: Mapping[str, "ImageStore"],
    settings: "LatentCacheParams",
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mean, log-variance and, with `mirror`, the mean of the mirrored images: [n, C, h, w] on the CPU."""
    parts: list[tuple[Tensor, ...]] = []
    for images in _batches(ids, store_of, settings):
        images = images.to(vae.device, non_blocking=True)
        part = moments(vae, images)
        if settings.mirror:
            part += (moments(vae, images.flip(-1))[0],)
        parts.append(tuple(tensor.cpu() for tensor in part))
    mean, logvar, *mirror = (torch.cat(column) for column in zip(*parts, strict=True))
    return mean, logvar, mirror[0] if mirror else None


def _batches(
    ids: Sequence[str], store_of: Mapping[str, "ImageStore"], settings: "LatentCacheParams"
) -> Iterator[Tensor]:
    """Image tensors [<= batch_size, 3, S, S] in order; the next batch is decoded while one is encoded."""

    def read(start: int) -> Tensor:
        chunk = ids[start : start + settings.batch_size]
        images = [image for id in chunk for image in store_of[id].read([id])]
        return to_tensor(images, settings.image_size)

    with ThreadPoolExecutor(max_workers=1) as reader:  # one reader: a store keeps open files and a row group
        ahead = None
        for start in range(0, len(ids), settings.batch_size):
            coming = reader.submit(read, start)
            if ahead is not None:
                yield ahead.result()
            ahead = coming
        if ahead is not None:
            yield ahead.result()
