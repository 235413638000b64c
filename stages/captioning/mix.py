"""Mix originals with synthetic pictures: every picture once, split by group, exported as tables of names and titles."""

from pathlib import Path

import pandas as pd

from difflab.captioning.mixing import merging, splitting
from difflab.captioning.mixing.image_hashes import image_hashes, near_groups
from difflab.captioning.mixing.merging import ORIGINAL, REASONS, SYNTHETIC, Row
from difflab.captioning.params import MixInputs
from difflab.core.base import runtime
from difflab.core.base.files import atomic_path, write_csv, write_parquet
from difflab.core.stage import Stage, run
from difflab.images.store.captions import read_captions
from difflab.images.store.image_store import ImageStore
from difflab.images.store.split import SPLITS

FOLDERS = {ORIGINAL: Path("data/images/recipes"), SYNTHETIC: Path("data/synthetic")}
OUTPUT = Path("data/mixed")


def main(stage: Stage[MixInputs]) -> None:
    settings, seed = stage.params.mix, stage.params.seed
    stores = {source: ImageStore(folder) for source, folder in FOLDERS.items()}
    excluded: merging.Excluded = {reason: [] for reason in REASONS}
    rows = []
    for source, store in stores.items():
        titles = read_captions(store.folder / "captions.parquet").groupby("id")["caption"].agg(list)
        rows += merging.clean(source, store.ids, titles.to_dict(), excluded)

    shown = runtime.progress(rows, total=len(rows), desc="mix", unit="image")
    hashes = image_hashes(stores[row.source].read([row.id])[0] for row in shown)
    kept = merging.usable(rows, hashes.blank, excluded)
    rows, hashes = [rows[number] for number in kept], hashes.take(kept)
    near = near_groups(hashes, settings.max_hamming_distance, settings.min_correlation)
    merged, exact, alike = merging.merge(rows, [stores[row.source].sha256(row.id) for row in rows], near)
    mixed = splitting.split(merged, settings, seed)
    row_by_row = splitting.split_rows(merged, settings, seed)

    with atomic_path(OUTPUT) as folder:
        folder.mkdir()
        table = pd.DataFrame(mixed, columns=Row._fields)[["id", "source", "group", "split", "titles"]]
        write_parquet(folder / "rows.parquet", table)
        for name in SPLITS:
            write_csv(folder / f"{name}.csv", splitting.listing(mixed, name))
    metrics = {**splitting.counts(mixed), "unused": len(merged) - len(mixed)}
    metrics |= {"groups": len({row.group for row in merged}), "leaks": splitting.leaks(mixed)}
    metrics |= {"leaks_reference_order": splitting.leaks(row_by_row)}
    metrics |= {"test_reference_order": sum(row.split == "test" for row in row_by_row)}
    metrics |= {"merged_exact": exact, "merged_near": alike}
    stage.write_metrics("metrics/mix.json", metrics | {reason: len(ids) for reason, ids in excluded.items()})
    for reason, ids in excluded.items():
        if ids:
            print(f"{reason.replace('_', ' ')} ({len(ids)}): {', '.join(ids)}")
    print(f"test rows with a row of their group in train or val: {metrics['leaks']} of {metrics['test_original']}")
    print(
        "  with variations made before a split row by row, as published: "
        f"{metrics['leaks_reference_order']} of {metrics['test_reference_order']}"
    )
    stage.done(f"wrote {OUTPUT}, {len(mixed):,} rows of {metrics['groups']:,} groups, {metrics['leaks']} leaks")


if __name__ == "__main__":
    run(main)
