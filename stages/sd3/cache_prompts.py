"""Embed every caption, and the empty prompt, with the three text encoders."""

from pathlib import Path

import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.roles import fingerprint, resolve
from difflab.core.base.stage import Stage, run
from difflab.sd3.artifacts.cells import kinds, read_kind
from difflab.sd3.caching.prompt_writer import TextEncoders, write_prompts
from difflab.sd3.params import CachePromptsInputs

TEXT, FOLDER = Path("models/zoo/text"), Path("data/prompt_embeds")


def main(stage: Stage[CachePromptsInputs]) -> None:
    params, machine = stage.params.cache.prompts, stage.params.runtime
    captions = pd.concat([read_kind(kind) for kind in kinds()], ignore_index=True)
    device, dtype = runtime.resolve_device(machine.device), runtime.resolve_dtype(machine.dtype)
    encoders = TextEncoders(resolve(TEXT), params.max_sequence_length, device, dtype, params.offload)
    meta = write_prompts(
        FOLDER,
        captions,
        encoders,
        fingerprint(TEXT),
        dtype=runtime.resolve_dtype(params.dtype),
        batch_size=params.batch_size,
        shard_size=params.shard_size,
        scratch=stage.scratch(),
    )
    if meta is None:  # a further process of a launcher: the main one goes on
        return
    counts = meta["truncated"]
    truncated = {f"truncated_{name}_{variant}": n for name in counts for variant, n in counts[name].items()}
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    metrics = {"captions": len(captions), "rows": meta["rows"], "bytes": size, **truncated}
    stage.write_metrics("metrics/cache_prompts.json", metrics)
    found = f"{meta['rows']} distinct prompts of {len(captions)} captions, {sum(truncated.values())} truncated"
    stage.done(f"wrote {FOLDER}, {found}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run(main, split=True)
