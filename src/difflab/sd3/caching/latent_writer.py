"""Images through the autoencoder's encoder, into the folder that `difflab.sd3.training.latents` reads."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, write_json, write_parquet
from difflab.core.base.runtime import full_float32
from difflab.core.base.sharding import process_chunks
from difflab.core.base.store.tensors import check_finite, to_tensor
from difflab.models.sampling.latent_images import latent_scaling

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.core.base.store.image_store import ImageStore
    from difflab.sd3.artifacts.shards import Shard
    from difflab.sd3.params import LatentCacheParams


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
    """Encode every image of the stores and write the folder that `LatentTable` reads, resumed from `scratch`.

    A shard depends on its own images only: any number of processes, and a run that was stopped, give the same
    files. Another `batch_size` changes means by float32 rounding (below 1e-5), log-variances by at most one
    of their 255 levels.

    Args:
        vae: in eval mode, on the device to work on, in float32 (half precision would cost more than packing).
        fingerprint: identity of the autoencoder, `core.base.roles.fingerprint(models/zoo/vae)`.
        dtype: precision of the stored means.

    Returns:
        The content of meta.json in the main process, None in the others.
    """
    from safetensors.torch import save_file

    shift, scale = latent_scaling(vae)
    if odd := settings.image_size % (unit := 2 ** (len(vae.config.block_out_channels) - 1)):
        raise DifflabError(
            f"cache.latents.image_size is {settings.image_size}, which leaves {odd} when divided by {unit}, the factor "
            "by which the autoencoder makes images smaller: choose a multiple"
        )
    store_of = {id: store for store in stores for id in store.ids}
    ids = list(store_of)

    def read(chunk: list[str]) -> Tensor:
        return to_tensor([image for id in chunk for image in store_of[id].read([id])], settings.image_size)

    def encode(chunk: list[str], path: Path) -> None:
        parts = []
        for images in _read_ahead(chunk, settings.batch_size, read):
            images = images.to(vae.device, non_blocking=True)
            mirror_mean = moments(vae, images.flip(-1))[:1] if settings.mirror else ()
            parts.append([tensor.cpu() for tensor in (*moments(vae, images), *mirror_mean)])
            for values in parts[-1]:
                check_finite(values, chunk[sum(len(p[0]) for p in parts[:-1]) :], "the latent")
        mean, logvar, *mirror = (torch.cat(column) for column in zip(*parts, strict=True))
        save_file(pack(mean, logvar, mirror[0] if mirror else None, dtype), path)

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
        "shift_factor": shift,
        "scaling_factor": scale,
    }
    place = np.arange(len(ids))
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for number, shard in enumerate(shards):
            shutil.copyfile(shard, temporary / f"latents-{number:05d}.safetensors")
        index = pd.DataFrame({"id": ids, "shard": place // settings.shard_size, "row": place % settings.shard_size})
        write_parquet(temporary / "index.parquet", index.assign(sha256=[store_of[id].sha256(id) for id in ids]))
        write_json(temporary / "meta.json", meta)
    return meta


@torch.no_grad()
@full_float32()
def moments(vae: "AutoencoderKL", images: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior mean and log-variance of images [n, 3, H, W] in [-1, 1]: [n, C, h, w] each, in the vae's own precision."""
    posterior = vae.encode(images.to(vae.device, vae.dtype)).latent_dist
    return posterior.mean, posterior.logvar


def _read_ahead(ids: list[str], batch_size: int, read: Callable[[list[str]], Tensor]) -> Iterator[Tensor]:
    """Batches in order; the next one is decoded while one is encoded."""
    batches = [ids[start : start + batch_size] for start in range(0, len(ids), batch_size)]
    with ThreadPoolExecutor(max_workers=1) as reader:  # one reader: a store keeps open files and a row group
        ahead = reader.submit(read, batches[0])
        for following in batches[1:]:
            ready, ahead = ahead, reader.submit(read, following)
            yield ready.result()
        yield ahead.result()


def pack(mean: Tensor, logvar: Tensor, mirror_mean: Tensor | None, dtype: torch.dtype) -> "Shard":
    """Pack moments [n, C, h, w] as `difflab.sd3.training.latents` describes.

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
