"""Cached latents: the moments of every image under the autoencoder, found by sample id.

Layout of a folder, which `cache_latents` writes (`difflab.sd3.caching.latent_writer`):
    latents-00000.safetensors ...   packed moments of `shard_size` images
    index.parquet                   id, shard, row, sha256 (of the image's bytes)
    meta.json                       fingerprint and scaling of the autoencoder; size, mirror, precision

Packed moments take four bytes per number, with the mirror image included:
    mean          [n, C, h, w]         as given (bfloat16 or float32)
    logvar        uint8 [n, C, h, w]   linear between the least and the greatest value of each sample and channel
    logvar_range  float32 [n, C, 2]    these two
    mirror        int8 [n, C, h, w]    difference of the mirror's mean to the flipped mean; only with mirrors
    mirror_scale  float32 [n, C]       of that difference, by the greatest of each sample and channel

With range r of a channel's log-variance, the stored one is off by at most r / 510; a mirror mean by at most
1 / 254 of the channel's greatest difference, whatever the precision of the mean. The flipped log-variance stands
for the mirror's. A 1024 px image with its mirror takes 1.05 MB (16 channels of 128 x 128).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_json, read_parquet, read_tensors
from difflab.core.base.roles import fingerprint
from difflab.sd3.artifacts import shards

if TYPE_CHECKING:
    from difflab.core.base.store.image_store import ImageStore

FOLDER, VAE = Path("data/latents"), Path("models/zoo/vae")
REMEDY = "run `dvc repro cache_latents`"
_TENSORS, _MIRROR = {"mean", "logvar", "logvar_range"}, {"mirror", "mirror_scale"}


class LatentTable:
    """Moments of many images, memory-mapped where they come from a folder.

    Args:
        packed: shards of packed moments whose rows, one shard after the other, belong to the sample `ids`.
        shift_factor, scaling_factor: of the autoencoder; latents are (z - shift) * scaling.
        sha256: hash of each image's bytes, where they are known.
        vae: fingerprint of the autoencoder.
    """

    def __init__(
        self,
        ids: Sequence[str],
        packed: Sequence[shards.Shard],
        *,
        shift_factor: float,
        scaling_factor: float,
        sha256: Mapping[str, str] | None = None,
        vae: str = "",
    ) -> None:
        self.ids = list(ids)
        self.shift_factor, self.scaling_factor, self.vae = shift_factor, scaling_factor, vae
        self._shards = list(packed)
        self._row_of = {id: row for row, id in enumerate(self.ids)}
        self._sha256 = sha256 or {}

    @classmethod
    def load(cls, folder: str | Path) -> "LatentTable":
        """Open a folder, whatever autoencoder it is of.

        Raises:
            DifflabError: the folder is absent, incomplete, or one of its shards is of another run.
        """
        folder = Path(folder)
        if not (folder / "meta.json").exists():
            raise DifflabError(f"{folder} holds no latent cache: {REMEDY}")
        meta = read_json(folder / "meta.json")
        index = read_parquet(folder / "index.parquet")
        packed = [read_tensors(path) for path in sorted(folder.glob("latents-*.safetensors"))]
        with reading(folder, REMEDY):
            sizes = index.groupby("shard", sort=True).size().tolist()
            ids, sha256 = index["id"].tolist(), index.set_index("id")["sha256"].to_dict()
            shift, scaling = float(meta["shift_factor"]), float(meta["scaling_factor"])
            vae, mirror = str(meta["vae"]), bool(meta["mirror"])
        shards.check(packed, _TENSORS | (_MIRROR if mirror else set()), folder, REMEDY)
        if not packed or sizes != [shards.length(shard) for shard in packed] or len(sha256) < len(ids):
            raise DifflabError(f"{folder}: index and shards differ: {REMEDY}")
        return cls(ids, packed, shift_factor=shift, scaling_factor=scaling, sha256=sha256, vae=vae)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a latent."""
        channels, height, width = self._shards[0]["mean"].shape[1:]
        return channels, height, width

    def rows(self, ids: Sequence[str]) -> Tensor:
        """Rows of sample ids, int64 [len(ids)].

        Raises:
            DifflabError: an image is not in the cache.
        """
        if missing := [id for id in ids if id not in self._row_of]:
            raise DifflabError(f"{len(missing)} images have no cached latents, first {missing[0]}: {REMEDY}")
        return torch.tensor([self._row_of[id] for id in ids], dtype=torch.int64)

    def check_images(self, images: "ImageStore", ids: Sequence[str]) -> None:
        """Refuse the cache, as a DifflabError, when an image's bytes are not those whose latents are here."""
        for id in ids:
            if self._sha256.get(id) != images.sha256(id):
                raise DifflabError(f"the cached latents of {id} are of other image bytes: {REMEDY}")

    def sample(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Draw latents from the posterior of images; with stored mirrors, of the mirror half of the time.

        Args:
            rows: int64 [B].
            keys: int64 [B], one per draw, see `difflab.core.base.rng`; the work is done on their device.

        Returns:
            Shifted and scaled latents, float32 [B, C, h, w], on the device of `keys`.
        """
        mirrored = None
        if "mirror" in self._shards[0]:
            mirrored = rng.uniform(rng.fold(keys, rng.key(0, "mirror"))) < 0.5
        packed = self._take(rows.cpu())
        packed = {name: tensor.to(keys.device, non_blocking=True) for name, tensor in packed.items()}
        mean, logvar = unpack(packed, mirrored)
        noise = rng.normal(rng.fold(keys, rng.key(0, "posterior")), self.shape)
        return self._scale(mean + torch.exp(0.5 * logvar) * noise)

    def mode(self, rows: Tensor) -> Tensor:
        """The latents of the posterior means, unmirrored: float32 [B, C, h, w] on the CPU."""
        return self._scale(unpack(self._take(rows.cpu()))[0])

    def _take(self, rows: Tensor) -> shards.Shard:
        packed = shards.take(self._shards, rows)
        shards.check_rows(packed, [self.ids[row] for row in rows.tolist()], FOLDER, REMEDY)
        return packed

    def _scale(self, z: Tensor) -> Tensor:
        return (z - self.shift_factor) * self.scaling_factor


def open_latents() -> LatentTable:
    """The latents of the study.

    Raises:
        DifflabError: they are absent, incomplete, or not of the present autoencoder.
    """
    latents, vae = LatentTable.load(FOLDER), fingerprint(VAE)
    if latents.vae != vae:
        raise DifflabError(f"the latents were made by autoencoder {latents.vae}, not by {vae}: {REMEDY}")
    return latents


def unpack(packed: shards.Shard, mirrored: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and log-variance, float32 [n, C, h, w]; of the mirrored image where `mirrored` (bool [n]) says."""
    mean = packed["mean"].float()
    least, greatest = packed["logvar_range"][..., None, None].unbind(2)
    logvar = least + packed["logvar"].float() * ((greatest - least) / 255)
    if mirrored is None:
        return mean, logvar
    mirror_mean = mean.flip(-1) + packed["mirror"].float() * packed["mirror_scale"][..., None, None]
    chosen = mirrored[:, None, None, None]
    return torch.where(chosen, mirror_mean, mean), torch.where(chosen, logvar.flip(-1), logvar)
