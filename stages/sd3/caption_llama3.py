"""Detailed captions: a chat model rewrites every short caption so that it tells the picture's facts."""

from pathlib import Path

import pandas as pd

from difflab.core.base.files import write_parquet
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.sharding import process_chunks
from difflab.core.stage import Stage, run
from difflab.datasets import data_set_of
from difflab.images.store.captions import read_captions, write_captions
from difflab.images.store.image_store import ImageStore
from difflab.models.language.rewriter import Request, Rewriter
from difflab.models.roles import resolve
from difflab.sd3.captions.detailed_captions import answers_frame, metrics
from difflab.sd3.params.inputs import CaptionLlama3Inputs

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
    rewriter = None

    def rewrite_chunk(ids: list[str], path: Path) -> None:
        nonlocal rewriter
        rewriter = rewriter or Rewriter(
            resolve("models/zoo/llama"), resolve_device(runtime.device), resolve_dtype(runtime.dtype)
        )
        chunk = [requests[i] for i in ids]
        write_parquet(path, answers_frame(chunk, rewriter.rewrite(chunk, settings, seed)))

    chunk_size, scratch = settings.batch_size * BATCHES_PER_CHUNK, stage.scratch()
    paths = process_chunks(list(requests), chunk_size, scratch, rewrite_chunk, what="captions", suffix=".parquet")
    if paths is None:
        return
    frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    write_captions(OUTPUT, frame)
    values = metrics(frame, attributes, settings.subjective)
    stage.write_metrics(METRICS, values)
    stage.done(f"wrote {OUTPUT}, {values['n']} captions, {values['facts_kept']:.1%} of the facts kept")


if __name__ == "__main__":
    run(main)
