"""Images through the autoencoder's encoder, into the folder that `difflab.sd3.caches.latents` reads."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from difflab.core.base.files import atomic_path, write_json, write_parquet
from difflab.core.sharding import process_chunks
from difflab.images.store.tensors import to_tensor

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.images.store.image_store import ImageStore
    from difflab.sd3.caches.moments import Packed
    from difflab.sd3.params.cache import LatentCacheParams


def write_latents(
    folder: str | Path,
    stores: Sequence["ImageStore"],
    vae: "AutoencoderKL",
    fingerprint: str,
    settings: "LatentCacheParams",
    *,
    dtype: torch.dtype,
    scratch: Path,
) -> dict | None:
    """Encode every image of the stores and write the folder that `LatentTable` reads.

    A shard depends on its own images only: any number of processes, and a run that was stopped, give the same
    files. Another `batch_size` changes means by float32 rounding (below 1e-5), log-variances by at most one
    of their 255 levels.

    Args:
        vae: in eval mode, on the device to work on, in float32 (half precision would cost more than packing).
        fingerprint: identity of the autoencoder, `models.roles.fingerprint(models/zoo/vae)`.
        dtype: precision of the stored means.
        scratch: folder of the resumable state.

    Returns:
        The content of meta.json in the main process, None in the others.
    """
    from safetensors.torch import save_file

    store_of = {id: store for store in stores for id in store.ids}
    ids = list(store_of)

    def encode(chunk: list[str], path: Path) -> None:
        images = encode_moments(vae, chunk, store_of, settings)
        save_file(pack(*images, dtype=dtype), path)

    shards = process_chunks(ids, settings.shard_size, scratch, encode, what="latents", suffix=".safetensors")
    if shards is None:
        return None
    meta = {
        "images": len(ids),
        "shards": len(shards),
        "image_size": settings.image_size,
        "mirror": settings.mirror,
        "dtype": str(dtype).removeprefix("torch."),
        "vae": fingerprint,
        "shift_factor": vae.config.shift_factor or 0.0,
        "scaling_factor": vae.config.scaling_factor,
    }
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for number, shard in enumerate(shards):
            shutil.copyfile(shard, temporary / f"latents-{number:05d}.safetensors")
        write_parquet(temporary / "index.parquet", _index(ids, store_of, settings.shard_size))
        write_json(temporary / "meta.json", meta)
    return meta


def _index(ids: list[str], store_of: Mapping[str, "ImageStore"], shard_size: int) -> pd.DataFrame:
    place = range(len(ids))
    return pd.DataFrame(
        {
            "id": ids,
            "shard": [p // shard_size for p in place],
            "row": [p % shard_size for p in place],
            "sha256": [store_of[id].sha256(id) for id in ids],
        }
    )


@torch.no_grad()
def moments(vae: "AutoencoderKL", images: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean and log-variance of images [n, 3, H, W] in [-1, 1]: [n, C, h, w] each."""
    posterior = vae.encode(images.to(vae.device, vae.dtype)).latent_dist
    return posterior.mean, posterior.logvar


def encode_moments(
    vae: "AutoencoderKL", ids: Sequence[str], store_of: Mapping[str, "ImageStore"], settings: "LatentCacheParams"
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


def pack(mean: Tensor, logvar: Tensor, mirror_mean: Tensor | None, dtype: torch.dtype) -> "Packed":
    """Pack moments [n, C, h, w] as `difflab.sd3.caches.moments` describes.

    Args:
        mirror_mean: what the encoder gave for the mirrored images; None keeps no mirror.
    """
    least, greatest = logvar.amin((2, 3)).float(), logvar.amax((2, 3)).float()
    span = (greatest - least).clamp_min(torch.finfo(torch.float32).tiny)
    level = (logvar.float() - least[..., None, None]) / span[..., None, None] * 255
    packed = {
        "mean": mean.to(dtype),
        "logvar": level.round().to(torch.uint8),
        "logvar_range": torch.stack([least, greatest], dim=-1),
    }
    if mirror_mean is not None:
        difference = mirror_mean.float() - packed["mean"].float().flip(-1)
        scale = difference.abs().amax((2, 3)) / 127
        level = difference / scale.clamp_min(torch.finfo(torch.float32).tiny)[..., None, None]
        packed |= {"mirror": level.round().to(torch.int8), "mirror_scale": scale}
    return {name: tensor.contiguous() for name, tensor in packed.items()}
