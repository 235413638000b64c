"""BLIP-2 captions: one, written without a prompt, for every image of CelebA-HQ and of the extra CelebA images."""

from pathlib import Path

import pandas as pd
from PIL import Image

from difflab.core.base.files import write_parquet
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.sharding import process_chunks
from difflab.core.stage import Stage, run
from difflab.images.store.captions import write_captions
from difflab.images.store.image_store import ImageStore
from difflab.models import blip2
from difflab.models.roles import resolve
from difflab.sd3.captions import short_captions
from difflab.sd3.params.inputs import CaptionBlip2Inputs

OUTPUT = "data/captions/blip2.parquet"
METRICS = "metrics/caption_blip2.json"
BATCHES_PER_CHUNK = 8  # what a killed run loses at most, per process


def main(stage: Stage[CaptionBlip2Inputs]) -> None:
    settings, runtime, seed = stage.params.caption.blip2, stage.params.runtime, stage.params.seed
    hq, celeba = stores = [ImageStore("data/celeba_hq"), ImageStore("data/celeba")]
    store_of = {id: store for store in stores for id in store.ids}
    captioner = None

    def read(ids: list[str]) -> list[Image.Image]:
        by_store = {store: [id for id in ids if store_of[id] is store] for store in stores}
        images: dict[str, Image.Image] = {}
        for store, own in by_store.items():
            images |= zip(own, store.read(own), strict=True)
        return [images[id] for id in ids]

    def caption_chunk(ids: list[str], path: Path) -> None:
        nonlocal captioner
        captioner = captioner or blip2.load(
            resolve("models/zoo/blip2"), resolve_device(runtime.device), resolve_dtype(runtime.dtype)
        )
        captions = []
        for start in range(0, len(ids), settings.batch_size):
            batch = ids[start : start + settings.batch_size]
            captions += captioner(read(batch), batch, settings, seed)
        write_parquet(path, short_captions.captions_frame(ids, captions, [store_of[i].sha256(i) for i in ids]))

    ids = [id for store in stores for id in store.ids]
    chunk_size = settings.batch_size * BATCHES_PER_CHUNK
    scratch = stage.scratch()
    paths = process_chunks(ids, chunk_size, scratch, caption_chunk, what="captions", suffix=".parquet")
    if paths is None:
        return
    frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    write_captions(OUTPUT, frame)
    splits = {name: hq.split(name) for name in ("train", "val", "test")}
    splits |= {"held_out": splits["val"] + splits["test"], "celeba": celeba.ids}
    attributes = pd.concat([store.attributes for store in stores])
    captions = dict(zip(frame["id"], frame["caption"], strict=True))
    metrics = short_captions.metrics(captions, attributes, splits, settings.long_caption)
    stage.write_metrics(METRICS, metrics)
    named = {key: value for key, value in metrics.items() if key.endswith("_accuracy_held_out")}
    shares = [f", {value:.1%} of held-out images with the {key.split('_')[0]} named" for key, value in named.items()]
    stage.done(f"wrote {OUTPUT}, {metrics['n']} captions, {metrics['n_unique']} distinct{''.join(shares)}")


if __name__ == "__main__":
    run(main)
