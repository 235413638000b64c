"""BLIP-2 captions: one, written without a prompt, for every image of CelebA-HQ and of the extra CelebA images."""

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from difflab.core.base.files import read_parquet, write_parquet
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.datasets import data_set_of
from difflab.models import blip2
from difflab.sd3.params import CaptionBlip2Inputs

OUTPUT, METRICS = "data/captions/blip2.parquet", "metrics/caption_blip2.json"
BATCHES_PER_CHUNK = 8  # what a killed run loses at most, per process


def main(stage: Stage[CaptionBlip2Inputs]) -> None:
    settings, runtime, seed = stage.params.caption.blip2, stage.params.runtime, stage.params.seed
    hq, celeba = stores = [ImageStore("data/celeba_hq"), ImageStore("data/celeba")]
    store_of = {id: store for store in stores for id in store.ids}

    @cache  # loaded when a chunk is missing
    def captioner() -> blip2.Blip2Captioner:
        return blip2.load(resolve("models/zoo/blip2"), resolve_device(runtime.device), resolve_dtype(runtime.dtype))

    def caption_chunk(ids: list[str], path: Path) -> None:
        captions = []
        for start in range(0, len(ids), settings.batch_size):
            batch = ids[start : start + settings.batch_size]
            images = [image for id in batch for image in store_of[id].read([id])]
            captions += captioner()(images, batch, settings, seed)
        columns = {"caption": captions, "source_sha256": [store_of[id].sha256(id) for id in ids]}
        write_parquet(path, pd.DataFrame({"id": ids, "variant": "blip2", **columns}))

    chunk_size, scratch = settings.batch_size * BATCHES_PER_CHUNK, stage.scratch()
    paths = process_chunks(list(store_of), chunk_size, scratch, caption_chunk, what="captions", suffix=".parquet")
    if paths is None:
        return
    frame = pd.concat([read_parquet(path) for path in paths], ignore_index=True)
    write_captions(OUTPUT, frame)
    splits = {name: hq.split(name) for name in ("train", "val", "test")}
    splits |= {"held_out": splits["val"] + splits["test"], "celeba": celeba.ids}
    attributes = pd.concat([store.attributes for store in stores])
    captions = frame.set_index("id")["caption"].to_dict()
    values = metrics(captions, attributes, splits, settings.long_caption)
    stage.write_metrics(METRICS, values)
    named = {key: value for key, value in values.items() if key.endswith("_accuracy_held_out")}
    shares = [f", {value:.1%} of held-out images with the {key.split('_')[0]} named" for key, value in named.items()]
    stage.done(f"wrote {OUTPUT}, {values['n']} captions, {values['n_unique']} distinct{''.join(shares)}")


def metrics(
    captions: Mapping[str, str], attributes: pd.DataFrame, splits: Mapping[str, Collection[str]], long_caption: int
) -> dict[str, float | int]:
    """Counts of all, distinct, empty and long captions (in characters), mean words, and how true the captions are.

    Args:
        captions: caption by sample id.
        attributes: bool table by id.
        splits: name -> ids; where the data set has classes, the captions of each non-empty one are judged by them.
    """
    words = [len(caption.split()) for caption in captions.values()]
    result: dict[str, float | int] = {
        "n": len(captions),
        "n_unique": len(set(captions.values())),
        "n_empty": words.count(0),
        "n_long": sum(len(caption) > long_caption for caption in captions.values()),
        "mean_words": sum(words) / len(words),
    }
    data_set = data_set_of(attributes.columns)
    for split, ids in splits.items():
        if ids and data_set.class_sets:
            accuracy = data_set.class_accuracy({id: captions[id] for id in ids}, attributes)
            result |= {f"n_{split}": len(ids)} | {f"{name}_{split}": value for name, value in accuracy.items()}
    return result


if __name__ == "__main__":
    run(main, split=True)
