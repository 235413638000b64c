"""Detailed captions: a chat model rewrites every short caption so that it tells the picture's facts."""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.files import read_parquet, write_parquet
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import read_captions, write_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.datasets import data_set_of
from difflab.models.language.rewriter import Request, Rewriter
from difflab.sd3.params import CaptionLlama3Inputs

if TYPE_CHECKING:
    from difflab.images.facts.data_set import Attributes, Subjective

OUTPUT, METRICS = "data/captions/llama3.parquet", "metrics/caption_llama3.json"
BATCHES_PER_CHUNK = 16  # what a killed run loses at most, per process; batches come from one chunk


def main(stage: Stage[CaptionLlama3Inputs]) -> None:
    settings, runtime, seed = stage.params.caption.llama3, stage.params.runtime, stage.params.seed
    short = read_captions("data/captions/blip2.parquet", "blip2")["caption"].to_dict()
    stores = [ImageStore("data/celeba_hq"), ImageStore("data/celeba")]
    attributes = {i: row for store in stores for i, row in store.attributes.to_dict("index").items() if i in short}
    data_set = data_set_of(stores[0].attributes.columns)
    requests = {
        i: Request(i, short[i], tuple(data_set.sentences(row, settings.subjective))) for i, row in attributes.items()
    }

    @cache  # loaded when a chunk is missing
    def rewriter() -> Rewriter:
        return Rewriter(resolve("models/zoo/llama"), resolve_device(runtime.device), resolve_dtype(runtime.dtype))

    def rewrite_chunk(ids: list[str], path: Path) -> None:
        chunk = [requests[i] for i in ids]
        answers = rewriter().rewrite(chunk, settings, seed)
        columns = {
            "id": ids,
            "variant": "llama3",
            "caption": [answer.caption for answer in answers],
            "source_sha256": [request.sha256 for request in chunk],
            "truncated": [answer.truncated for answer in answers],
            "unread": [answer.unread for answer in answers],
        }
        write_parquet(path, pd.DataFrame(columns))

    chunk_size, scratch = settings.batch_size * BATCHES_PER_CHUNK, stage.scratch()
    paths = process_chunks(list(requests), chunk_size, scratch, rewrite_chunk, what="captions", suffix=".parquet")
    if paths is None:
        return
    frame = pd.concat([read_parquet(path) for path in paths], ignore_index=True)
    unread = int(frame.pop("unread").sum())  # answers without a sentence: the short caption stands in for them
    write_captions(OUTPUT, frame)
    values = metrics(frame, attributes, settings.subjective) | {"unread": unread}
    stage.write_metrics(METRICS, values)
    kept = f", {values['facts_kept']:.1%} of the facts kept" if values["facts"] else ""
    stage.done(f"wrote {OUTPUT}, {values['n']} captions{kept}")


def metrics(
    frame: pd.DataFrame, attributes: Mapping[str, "Attributes"], subjective: "Subjective"
) -> dict[str, int | float]:
    """What the captions keep of the truth.

    Returns:
        facts: how many were told. facts_kept: the share of them that the captions keep. captions_complete: the share
        of captions that keep all; both absent where none was told. `<class set>_kept` where the data set has classes.
        truncated: captions cut at max_new_tokens. contradictory: rows whose attributes contradict themselves, then one
        count per rule.
    """
    captions = frame.set_index("id")["caption"].to_dict()
    table = pd.DataFrame.from_dict({i: attributes[i] for i in captions}, orient="index")
    data_set = data_set_of(table.columns)
    scores = [data_set.facts_kept(caption, attributes[i], subjective) for i, caption in captions.items()]
    kept, total = (sum(column) for column in zip(*scores, strict=True))
    complete = sum(own == all_ for own, all_ in scores) / len(scores)
    found = [data_set.contradicted(attributes[i]) for i in captions]
    counts = Counter(name for names in found for name in names)
    return {
        "n": len(frame),
        "n_unique": len(set(captions.values())),
        "facts": total,
        **({"facts_kept": kept / total, "captions_complete": complete} if total else {}),
        **data_set.class_accuracy(captions, table, "kept"),
        "truncated": int(frame["truncated"].sum()),
        "contradictory": sum(bool(names) for names in found),
        **{f"contradictory_{rule.name}": counts[rule.name] for rule in data_set.contradictions},
    }


if __name__ == "__main__":
    run(main, split=True)
