"""Cached latents: the moments of every image under the autoencoder, found by sample id.

Layout of a folder, which `cache_latents` writes (`difflab.sd3.caching.latent_writer`):
    latents-00000.safetensors ...   `moments.Packed` of `shard_size` images
    index.parquet                   id, shard, row, sha256 (of the image's bytes)
    meta.json                       fingerprint and scaling of the autoencoder; size, mirror, precision

A 1024 px image with its mirror takes 1.05 MB (16 channels of 128 x 128); 1,000 images are a handful of files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, read_parquet
from difflab.models.roles import fingerprint
from difflab.sd3.caches.moments import Packed, unpack

if TYPE_CHECKING:
    from difflab.images.store.image_store import ImageStore

FOLDER, VAE = Path("data/latents"), Path("models/zoo/vae")


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
        """Open a folder, whatever autoencoder it is of.

        Raises:
            DifflabError: the folder is absent, incomplete, or one of its shards is of another run.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        if not (folder / "meta.json").exists():
            raise DifflabError(f"{folder} holds no latent cache: run `dvc repro cache_latents`")
        meta = read_json(folder / "meta.json")
        index = read_parquet(folder / "index.parquet")
        shards = [load_file(path) for path in sorted(folder.glob("latents-*.safetensors"))]
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
        channels, height, width = self._shards[0]["mean"].shape[1:]
        return channels, height, width

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
                f"{len(missing)} images have no cached latents, first {missing[0]}: run `dvc repro cache_latents`"
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
        """Refuse the cache of another autoencoder (`fingerprint`: `models.roles.fingerprint` of models/zoo/vae).

        Raises:
            DifflabError: the autoencoder has changed since.
        """
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


def open_latents() -> LatentTable:
    """The latents of the study.

    Raises:
        DifflabError: they are absent, incomplete, or not of the present autoencoder.
    """
    latents = LatentTable.load(FOLDER)
    latents.check_vae(fingerprint(VAE))
    return latents
