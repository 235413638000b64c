"""Mix originals with synthetic pictures: every picture once, split by dish, exported as tables of names and titles."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from difflab.captioning.mixing import merging, mixing
from difflab.captioning.mixing.merging import ORIGINAL, SYNTHETIC, LeftOut
from difflab.captioning.mixing.perceptual import near_groups, prints
from difflab.captioning.params.inputs import MixInputs
from difflab.core.base import runtime
from difflab.core.base.files import atomic_path, write_csv, write_parquet
from difflab.core.stage import Stage, run
from difflab.images.captions import read_captions
from difflab.images.split import SPLITS
from difflab.images.store.image_store import ImageStore

FOLDERS = {ORIGINAL: Path("data/images/recipes"), SYNTHETIC: Path("data/synthetic")}
OUTPUT = Path("data/mixed")


def main(stage: Stage[MixInputs]) -> None:
    settings, seed = stage.params.mix, stage.params.seed
    stores = {source: ImageStore(folder) for source, folder in FOLDERS.items()}
    left = LeftOut()
    rows = []
    for source, store in stores.items():
        titles = read_captions(store.folder / "captions.parquet").groupby("id")["caption"].agg(list)
        rows += merging.clean(source, store.ids, titles.to_dict(), left)

    def images() -> Iterator[Image.Image]:
        for row in runtime.progress(rows, total=len(rows), desc="mix", unit="image"):
            yield from stores[row.source].read([row.id])

    found = prints(images())
    kept = merging.usable(rows, found.blank, left)
    rows, found = [rows[number] for number in kept], found.take(kept)
    near = near_groups(found, settings.max_hamming_distance, settings.min_correlation)
    merged = merging.merge(rows, [stores[row.source].sha256(row.id) for row in rows], near)
    mixed = mixing.split(merged.rows, settings, seed)
    row_by_row = mixing.split_rows(merged.rows, settings, seed)

    with atomic_path(OUTPUT) as folder:
        folder.mkdir()
        write_parquet(folder / "rows.parquet", mixing.table(mixed))
        for name in SPLITS:
            write_csv(folder / f"{name}.csv", mixing.listing(mixed, name))
    metrics = {**mixing.counts(mixed), "unused": len(merged.rows) - len(mixed)}
    metrics |= {"dishes": len({row.group for row in merged.rows}), "leaks": mixing.leaks(mixed)}
    metrics |= {"leaks_reference_order": mixing.leaks(row_by_row)}
    metrics |= {"test_reference_order": sum(row.split == "test" for row in row_by_row)}
    metrics |= {"merged_exact": merged.exact, "merged_near": merged.near, **left.counts()}
    stage.write_metrics("metrics/mix.json", metrics)
    for line in left.lines():
        print(line)
    print(f"test rows with a relative in train or val: {metrics['leaks']} of {metrics['test_original']}")
    print(
        "  had the variations been made before a split row by row, as published: "
        f"{metrics['leaks_reference_order']} of {metrics['test_reference_order']}"
    )
    stage.done(
        f"wrote {OUTPUT}, {len(mixed):,} rows of {metrics['dishes']:,} dishes, {metrics['leaks']} leaks"
    )


if __name__ == "__main__":
    run(main)
