"""Cached latents: the moments of every image under the autoencoder, found by sample id.

Layout of a folder:
    latents-00000.safetensors ...   `store.moments.Packed` of `shard_size` images
    index.parquet                   id, shard, row, sha256 (of the image's bytes)
    meta.json                       fingerprint and scaling of the autoencoder; size, mirror, precision

A 1024 px image with its mirror takes 1.05 MB (16 channels of 128 x 128); 1,000 images are a handful of files.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, read_json, read_parquet, write_json, write_parquet
from difflab.core.sharding import process_chunks
from difflab.sd3.caches.encoding import encode_moments
from difflab.sd3.caches.moments import Packed, pack, unpack

if TYPE_CHECKING:
    from diffusers.models import AutoencoderKL

    from difflab.images.store.image_store import ImageStore
    from difflab.sd3.params.cache import LatentCacheParams


class LatentTable:
    """Moments of many images, memory-mapped where they come from a folder.

    Args:
        ids: sample ids, [N].
        shards: packed moments whose rows, one shard after the other, belong to `ids`.
        shift_factor, scaling_factor: of the autoencoder; latents are (z - shift) * scaling.
        sha256: hash of each image's bytes, where they are known.
        vae: fingerprint of the autoencoder.
    """

    def __init__(
        self,
        ids: Sequence[str],
        shards: Sequence[Packed],
        *,
        shift_factor: float,
        scaling_factor: float,
        sha256: Mapping[str, str] | None = None,
        vae: str = "",
    ) -> None:
        self.ids = list(ids)
        self.shift_factor, self.scaling_factor = shift_factor, scaling_factor
        self.vae = vae
        self._shards = list(shards)
        self._row_of = {id: row for row, id in enumerate(self.ids)}
        self._sha256 = dict(sha256 or {})
        sizes = [len(shard["mean"]) for shard in self._shards]
        self._ends = torch.tensor(sizes).cumsum(0)
        if sum(sizes) != len(self._row_of):
            raise DifflabError(f"{sum(sizes)} cached latents for {len(self._row_of)} ids: cache them again")

    @classmethod
    def load(cls, folder: str | Path) -> "LatentTable":
        """Open the folder that `cache_latents` wrote.

        Raises:
            DifflabError: the folder is absent, incomplete, or one of its shards is of another run.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        if not (folder / "meta.json").exists():
            raise DifflabError(f"{folder} is no latent cache: run `dvc repro cache_latents`")
        meta = read_json(folder / "meta.json")
        index = read_parquet(folder / "index.parquet")
        shards = [load_file(folder / _shard_name(n)) for n in range(meta["shards"])]
        sizes = index.groupby("shard", sort=True).size().tolist()
        if sizes != [len(shard["mean"]) for shard in shards]:
            raise DifflabError(f"{folder}: index and shards differ: run `dvc repro cache_latents`")
        return cls(
            index["id"],
            shards,
            shift_factor=meta["shift_factor"],
            scaling_factor=meta["scaling_factor"],
            sha256=dict(zip(index["id"], index["sha256"], strict=True)),
            vae=meta["vae"],
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent."""
        return tuple(self._shards[0]["mean"].shape[1:])

    @property
    def has_mirror(self) -> bool:
        return "mirror" in self._shards[0]

    def rows(self, ids: Sequence[str]) -> Tensor:
        """Rows of sample ids, int64 [len(ids)].

        Raises:
            DifflabError: an image is not in the cache.
        """
        missing = [id for id in ids if id not in self._row_of]
        if missing:
            raise DifflabError(
                f"{len(missing)} images have no cached latents, first {missing[0]}: "
                "run `dvc repro cache_latents`"
            )
        return torch.tensor([self._row_of[id] for id in ids], dtype=torch.int64)

    def check_images(self, images: "ImageStore", ids: Sequence[str]) -> None:
        """Refuse the cache when an image is not the one whose latents are here.

        Raises:
            DifflabError: the image's bytes have changed since.
        """
        for id in ids:
            if self._sha256.get(id) != images.sha256(id):
                raise DifflabError(
                    f"the cached latents of {id} are of other image bytes: run `dvc repro cache_latents`"
                )

    def check_vae(self, fingerprint: str) -> None:
        """Refuse the cache when it comes from another autoencoder (`zoo.roles.fingerprint`)."""
        if self.vae != fingerprint:
            raise DifflabError(
                f"the latents were made by autoencoder {self.vae or '?'}, not by {fingerprint}: "
                "run `dvc repro cache_latents`"
            )

    def sample(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Draw latents from the posterior of images; with stored mirrors, of the mirror half of the time.

        Args:
            rows: int64 [B].
            keys: int64 [B], one per draw, see `difflab.core.base.rng`; the work is done on their device.

        Returns:
            Shifted and scaled latents, float32 [B, C, h, w], on the device of `keys`.
        """
        mirrored = None
        if self.has_mirror:
            mirrored = rng.uniform(rng.fold(keys, rng.key(0, "mirror"))) < 0.5
        mean, logvar = unpack(self._gather(rows, keys.device), mirrored)
        noise = rng.normal(rng.fold(keys, rng.key(0, "posterior")), self.shape)
        return self._scale(mean + torch.exp(0.5 * logvar) * noise)

    def mode(self, rows: Tensor) -> Tensor:
        """The latents of the posterior means, unmirrored: float32 [B, C, h, w] on the CPU."""
        return self._scale(unpack(self._gather(rows, torch.device("cpu")))[0])

    def _scale(self, z: Tensor) -> Tensor:
        return (z - self.shift_factor) * self.scaling_factor

    def _gather(self, rows: Tensor, device: torch.device) -> Packed:
        rows = rows.cpu().contiguous()
        if len(self._shards) == 1:
            packed = {name: tensor[rows] for name, tensor in self._shards[0].items()}
        else:
            packed = self._gather_shards(rows)
        return {name: tensor.to(device, non_blocking=True) for name, tensor in packed.items()}

    def _gather_shards(self, rows: Tensor) -> Packed:
        shard = torch.searchsorted(self._ends, rows, right=True)
        packed = {
            name: torch.empty((len(rows), *tensor.shape[1:]), dtype=tensor.dtype)
            for name, tensor in self._shards[0].items()
        }
        for number in shard.unique().tolist():
            mine = shard == number
            local = rows[mine] - (int(self._ends[number - 1]) if number else 0)
            for name, tensor in packed.items():
                tensor[mine] = self._shards[number][name][local]
        return packed


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
    """Encode every image of the stores and write the folder.

    A shard depends on its own images only: any number of processes, and a run that was stopped, give the same
    files. Another `batch_size` changes means by float32 rounding (below 1e-5), log-variances by at most one
    of their 255 levels.

    Args:
        vae: in eval mode, on the device to work on, in float32 (half precision would cost more than packing).
        fingerprint: identity of the autoencoder, `zoo.roles.fingerprint(models/zoo/vae)`.
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
            shutil.copyfile(shard, temporary / _shard_name(number))
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


def _shard_name(number: int) -> str:
    return f"latents-{number:05d}.safetensors"
