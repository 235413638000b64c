"""Encode every image once and keep the moments of its latents, with its mirror's where wanted."""

from pathlib import Path

from difflab.core.base import roles, runtime
from difflab.core.base.roles import load_vae
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.sd3.caching.latent_writer import write_latents
from difflab.sd3.params import CacheLatentsInputs

VAE, FOLDER = Path("models/zoo/vae"), Path("data/latents")


def main(stage: Stage[CacheLatentsInputs]) -> None:
    settings = stage.params.cache.latents
    vae = load_vae(roles.resolve(VAE), runtime.resolve_device(stage.params.runtime.device), settings.vae)
    meta = write_latents(
        FOLDER,
        [ImageStore("data/celeba_hq"), ImageStore("data/celeba")],
        vae,
        roles.fingerprint(VAE),
        settings,
        dtype=runtime.resolve_dtype(settings.dtype),
        scratch=stage.scratch(),
    )
    if meta is None:  # a further process of a launcher: the main one writes
        return
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    metrics = {"images": meta["images"], "shards": meta["shards"], "bytes_per_image": size / meta["images"]}
    stage.write_metrics("metrics/cache_latents.json", metrics)
    stage.done(f"wrote {FOLDER}, {meta['images']} images of {metrics['bytes_per_image']:,.0f} bytes each")


if __name__ == "__main__":
    run(main, split=True)
