"""Three variations of every title by a chat model; titles whose answers are refused are listed with the reason.

Titles of test dishes are left out: nothing is made from them.
"""

from functools import cache
from pathlib import Path

import pandas as pd

from difflab.captioning.judging import metrics, outcomes_frame, quarantine_frame, variations_frame
from difflab.captioning.mixing.rows import drawn_splits
from difflab.captioning.params import VaryTitlesInputs
from difflab.core.base.files import read_parquet, write_csv, write_parquet
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import read_captions
from difflab.models.language.chat_model import ChatModel
from difflab.models.title_variations import vary

SOURCE, FOLDER = "data/images/recipes/captions.parquet", Path("data/titles")
MODEL, METRICS = "models/zoo/gemma", "metrics/vary_titles.json"
VARIANT = "human-0"  # the first title of a picture
BATCHES_PER_CHUNK = 16  # the most that a killed run loses, per process


def main(stage: Stage[VaryTitlesInputs]) -> None:
    settings, runtime, seed = stage.params.titles, stage.params.runtime, stage.params.seed
    titles = read_captions(SOURCE, VARIANT)["caption"].to_dict()
    drawn = drawn_splits(titles, stage.params.mix, seed)
    titles = {id: title for id, title in titles.items() if drawn[id] != "test"}
    model = cache(lambda: ChatModel(resolve(MODEL), resolve_device(runtime.device), resolve_dtype(runtime.dtype)))
    limits = {"retries": settings.retries, "max_length": settings.max_length}

    def vary_chunk(ids: list[str], path: Path) -> None:
        asked = {i: titles[i] for i in ids}
        write_parquet(path, outcomes_frame(vary(model(), asked, settings, seed, **limits)))

    chunk_size, scratch = settings.batch_size * BATCHES_PER_CHUNK, stage.scratch()
    paths = process_chunks(list(titles), chunk_size, scratch, vary_chunk, what="titles", suffix=".parquet")
    if paths is None:
        return
    frame = pd.concat([read_parquet(path) for path in paths], ignore_index=True)
    write_parquet(FOLDER / "variations.parquet", variations_frame(frame))
    write_csv(FOLDER / "quarantine.csv", quarantine_frame(frame))
    values = metrics(frame)
    stage.write_metrics(METRICS, values)
    stage.done(
        f"wrote {FOLDER}, variations of {values['varied']} titles, {values['faithful']:.1%} of them faithful; "
        f"{values['quarantined']} titles in quarantine"
    )


if __name__ == "__main__":
    run(main, split=True)
