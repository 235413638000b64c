"""Mix originals with synthetic pictures: every picture once, split by group, exported as tables of names and titles."""

from pathlib import Path

import pandas as pd

from difflab.captioning.mixing import rows
from difflab.captioning.params import MixInputs
from difflab.core.base import runtime
from difflab.core.base.files import atomic_path, write_csv, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import read_captions
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.split import SPLITS
from difflab.images.preparing.image_hashes import image_hashes, near_groups

FOLDERS = {rows.ORIGINAL: Path("data/images/recipes"), rows.SYNTHETIC: Path("data/synthetic")}
OUTPUT = Path("data/mixed")


def main(stage: Stage[MixInputs]) -> None:
    settings, seed = stage.params.mix, stage.params.seed
    stores = {source: ImageStore(folder) for source, folder in FOLDERS.items()}
    excluded: rows.Excluded = {reason: [] for reason in rows.REASONS}
    found = []
    for source, store in stores.items():
        titles = read_captions(store.folder / "captions.parquet").groupby("id")["caption"].agg(list)
        if source == rows.ORIGINAL:
            drawn = rows.drawn_splits(titles.index, settings, seed)
        cleaned = rows.clean(source, store.ids, titles.to_dict(), excluded)
        found += [row._replace(split=drawn.get(row.group, "")) for row in cleaned]
    shown = runtime.progress(found, total=len(found), desc="mix", unit="image")
    hashes = image_hashes(stores[row.source].read([row.id])[0] for row in shown)
    kept = rows.usable(found, hashes.blank, excluded)
    found, hashes = [found[number] for number in kept], hashes.take(kept)
    near = near_groups(hashes, settings.max_hamming_distance, settings.min_correlation)
    merged, exact, alike = rows.merge(found, [stores[row.source].sha256(row.id) for row in found], near)
    mixed = rows.split(merged, settings, seed)
    varied = [row for row in merged if row.split != "test"]  # test dishes have no variations that could leak
    row_by_row = rows.split_rows(varied, seed)
    with atomic_path(OUTPUT) as folder:
        folder.mkdir()
        table = pd.DataFrame(mixed, columns=rows.Row._fields)[["id", "source", "group", "split", "titles"]]
        write_parquet(folder / "rows.parquet", table)
        for name in SPLITS:
            write_csv(folder / f"{name}.csv", rows.listing(mixed, name))
    metrics = {**rows.counts(mixed), "unused": len(merged) - len(mixed)}
    metrics |= {"groups": len({row.group for row in merged}), "leaks": rows.leaks(mixed)}
    tested = sum(row.split == "test" for row in row_by_row)
    metrics |= {"leaks_reference_order": rows.leaks(row_by_row), "test_reference_order": tested}
    metrics |= {"merged_exact": exact, "merged_near": alike}
    stage.write_metrics("metrics/mix.json", metrics | {reason: len(ids) for reason, ids in excluded.items()})
    for reason, ids in excluded.items():
        if ids:
            print(f"{reason.replace('_', ' ')} ({len(ids)}): {', '.join(ids)}")
    print(f"test rows with a row of their group in train or val: {metrics['leaks']} of {metrics['test_original']}")
    leaked = metrics["leaks_reference_order"]
    print(f"  with variations made before a split row by row, as published: {leaked} of {tested}")
    stage.done(f"wrote {OUTPUT}, {len(mixed):,} rows of {metrics['groups']:,} groups, {metrics['leaks']} leaks")


if __name__ == "__main__":
    run(main)
