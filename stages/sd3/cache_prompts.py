"""Embed every caption, and the empty prompt, with the three text encoders."""

from pathlib import Path

import pandas as pd

from difflab.core.base import runtime
from difflab.core.stage import Stage, run
from difflab.images.store.captions import read_captions
from difflab.models.roles import fingerprint, resolve
from difflab.sd3.caching.prompt_writer import TextEncoders, write_prompts
from difflab.sd3.params import CachePromptsInputs

CAPTIONS = ("data/captions/blip2.parquet", "data/captions/llama3.parquet")
TEXT, FOLDER = Path("models/zoo/text"), Path("data/prompt_embeds")


def main(stage: Stage[CachePromptsInputs]) -> None:
    params, machine = stage.params.cache.prompts, stage.params.runtime
    captions = pd.concat([read_captions(path) for path in CAPTIONS], ignore_index=True)
    device, dtype = runtime.resolve_device(machine.device), runtime.resolve_dtype(machine.dtype)
    meta = write_prompts(
        FOLDER,
        captions,
        TextEncoders(resolve(TEXT), params.max_sequence_length, device, dtype),
        fingerprint(TEXT),
        dtype=runtime.resolve_dtype(params.dtype),
        batch_size=params.batch_size,
        shard_size=params.shard_size,
        scratch=stage.scratch(),
    )
    if meta is None:  # a further process of a launcher: the main one goes on
        return
    truncated = {
        f"truncated_{encoder}_{variant}": count
        for encoder, counts in meta["truncated"].items()
        for variant, count in counts.items()
    }
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    metrics = {"captions": len(captions), "rows": meta["rows"], "bytes": size, **truncated}
    stage.write_metrics("metrics/cache_prompts.json", metrics)
    stage.done(
        f"wrote {FOLDER}, {meta['rows']} distinct prompts of {len(captions)} captions, {size / 1e6:.1f} MB, "
        f"{sum(truncated.values())} truncated"
    )


if __name__ == "__main__":
    run(main)
