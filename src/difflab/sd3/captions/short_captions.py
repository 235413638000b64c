"""The table of BLIP-2's captions and what is measured of it."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from difflab.datasets import data_set_of

VARIANT = "blip2"


def captions_frame(ids: Sequence[str], captions: Sequence[str], sources: Sequence[str]) -> pd.DataFrame:
    """Rows of the captions table; `sources` are the sha256 of the images."""
    columns = {"id": list(ids), "variant": VARIANT, "caption": list(captions), "source_sha256": list(sources)}
    return pd.DataFrame(columns)


def text_metrics(captions: Collection[str], long_caption: int) -> dict[str, float | int]:
    """Counts that need no truth: all, distinct, empty and long captions (in characters), and mean words."""
    words = [len(caption.split()) for caption in captions]
    return {
        "n": len(captions),
        "n_unique": len(set(captions)),
        "n_empty": words.count(0),
        "n_long": sum(len(caption) > long_caption for caption in captions),
        "mean_words": sum(words) / max(1, len(words)),
    }


def metrics(
    captions: Mapping[str, str], attributes: pd.DataFrame, splits: Mapping[str, Collection[str]], long_caption: int
) -> dict[str, float | int]:
    """Everything that metrics/caption_blip2.json holds.

    Args:
        captions: caption by sample id.
        attributes: bool table by id.
        splits: name -> ids; where the data set has classes, the captions of each non-empty one are judged by them.
    """
    result, data_set = text_metrics(captions.values(), long_caption), data_set_of(attributes.columns)
    for split, ids in splits.items():
        if ids and data_set.class_sets:
            accuracy = data_set.class_accuracy({id: captions[id] for id in ids}, attributes)
            result |= {f"n_{split}": len(ids)} | {f"{name}_{split}": value for name, value in accuracy.items()}
    return result
