"""Split CelebA-HQ, or a person's own pictures in its place, into train, val and test and store them by sample id."""

import pandas as pd

from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import write_captions
from difflab.core.base.store.split import SPLITS
from difflab.datasets import data_set_of
from difflab.images import own_pictures
from difflab.images.archives.opening import Archive, is_own, open_source
from difflab.images.celeba import celeba_hq
from difflab.images.params import PrepareCelebaHqInputs
from difflab.images.preparing.near_twins import describe, near_twins
from difflab.images.preparing.samples import Skipped, check_splits
from difflab.images.preparing.store_writer import write_store

SOURCE, FOLDER, METRICS = "data/raw/celeba_hq", "data/celeba_hq", "metrics/prepare_celeba_hq.json"


def main(stage: Stage[PrepareCelebaHqInputs]) -> None:
    params = stage.params
    archive = open_source(SOURCE, params.data.data_root)
    if is_own(SOURCE):
        return prepare_own(stage, archive)
    table = celeba_hq.read_table(archive).iloc[: params.split.max_rows]
    split = celeba_hq.split_table(table, params.split, data_set_of(table.columns).name)
    shares = celeba_hq.frequencies(table, split)
    skipped = Skipped()
    with atomic_path(FOLDER) as folder:
        samples = celeba_hq.samples(archive, table, params.prepare, skipped)
        index = write_store(folder, samples, table.assign(split=split), keep_absent=True)
        write_csv(folder / "frequencies.csv", shares, gaps=shares.columns)
        present = index[index["present"]]
        check_splits(archive, present, SPLITS, skipped, "prepare.min_side")

    print(shares.to_string(index=False, float_format="{:.4f}".format))
    metrics = {"rows": len(index), "present": len(present), **skipped.counts("absent", "unreadable")}
    finish(stage, archive, index, skipped, metrics)


def prepare_own(stage: Stage[PrepareCelebaHqInputs], archive: Archive) -> None:
    """The same of a person's own pictures, as squares, and the captions that came with them."""
    params, skipped = stage.params, Skipped()
    pictures = own_pictures.read(archive)
    table = pictures.table.iloc[: params.split.max_rows]
    split = own_pictures.split_pictures(archive, pictures, table, params.split, params.prepare.min_side)
    with atomic_path(FOLDER) as folder:
        samples = own_pictures.samples(archive, table, params.prepare, skipped)
        index = write_store(folder, samples, table.assign(split=split), keep_absent=False)
        own_pictures.check_counts(archive, index, skipped, params.prepare.min_side)
        captions = own_pictures.captions_table(pictures, index)
        if len(captions):
            write_captions(folder / own_pictures.CAPTIONS, captions)

    archive.pass_over(f"smaller than prepare.min_side {params.prepare.min_side}", skipped.small)
    if pictures.unused:
        print(f"columns that are neither captions, group, split nor true and false: {', '.join(pictures.unused)}")
    captioned, grouped = (index["id"].isin(list(known)) for known in (captions["id"], pictures.groups))
    print(f"{captioned.sum():,} of {len(index):,} pictures came with captions, {grouped.sum():,} with a group")
    print("no classes are known of them: class accuracies are left out of all tables")
    metrics = {"rows": len(table), "present": len(index), "absent": 0}
    metrics |= skipped.counts("unreadable", "small", "cropped")
    metrics |= {"captioned": int(captioned.sum()), "grouped": int(grouped.sum())}
    finish(stage, archive, index, skipped, metrics)


def finish(
    stage: Stage[PrepareCelebaHqInputs], archive: Archive, index: pd.DataFrame, skipped: Skipped, metrics: dict
) -> None:
    """Name near twins across splits and what was passed over, and write the metrics."""
    present = index[index["present"]]
    held_out, train = (present.loc[(present["split"] == "train") == is_train, "id"] for is_train in (False, True))
    twins = near_twins(held_out, train, skipped.looks)
    metrics |= {"near_twins": len(twins)} if skipped.looks else {}
    metrics["passed_over"] = archive.count_passed_over()
    files = index.set_index("id")["file"]
    named = [(files[one], files[other]) for one, other in twins] if is_own(SOURCE) else twins
    for line in archive.describe_passed_over() + describe(named):
        print(line)
    for name in SPLITS:
        metrics[name] = int((index["split"] == name).sum())
        metrics[f"{name}_present"] = int((present["split"] == name).sum())
    stage.write_metrics(METRICS, metrics)
    sizes = "/".join(f"{metrics[name]:,}" for name in SPLITS)
    stage.done(
        f"wrote {FOLDER}, {len(present):,} images of {metrics['rows']:,} rows "
        f"({metrics['absent']:,} absent, {metrics['unreadable']:,} unreadable), split {sizes}"
    )


if __name__ == "__main__":
    run(main)
