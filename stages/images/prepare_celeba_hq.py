"""Split CelebA-HQ into train, val and test and store its images and attributes by sample id."""

from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.split import SPLITS
from difflab.datasets import data_set_of
from difflab.images.archives.opening import open_source
from difflab.images.celeba import celeba_hq
from difflab.images.params import PrepareCelebaHqInputs
from difflab.images.preparing.near_twins import describe, near_twins
from difflab.images.preparing.samples import Skipped, check_splits
from difflab.images.preparing.store_writer import write_store


def main(stage: Stage[PrepareCelebaHqInputs]) -> None:
    params = stage.params
    archive = open_source("data/raw/celeba_hq", params.data.data_root)
    table = celeba_hq.read_table(archive).iloc[: params.split.max_rows]
    split = celeba_hq.split_table(table, params.split, data_set_of(table.columns).name)
    shares = celeba_hq.frequencies(table, split)
    skipped = Skipped()
    with atomic_path("data/celeba_hq") as folder:
        samples = celeba_hq.samples(archive, table, params.prepare, skipped)
        index = write_store(folder, samples, table.assign(split=split), keep_absent=True)
        write_csv(folder / "frequencies.csv", shares, gaps=shares.columns)
        present = index[index["present"]]
        check_splits(archive, present, SPLITS, skipped, "prepare.min_side")

    print(shares.to_string(index=False, float_format="{:.4f}".format))
    metrics = {"rows": len(index), "present": len(present), **skipped.counts("absent", "unreadable")}
    held_out, train = (present.loc[(present["split"] == "train") == is_train, "id"] for is_train in (False, True))
    twins = near_twins(held_out, train, skipped.looks)
    metrics |= {"near_twins": len(twins)} if skipped.looks else {}
    metrics["passed_over"] = archive.count_passed_over()
    for line in archive.describe_passed_over() + describe(twins):
        print(line)
    for name in SPLITS:
        metrics[name] = int((index["split"] == name).sum())
        metrics[f"{name}_present"] = int((present["split"] == name).sum())
    stage.write_metrics("metrics/prepare_celeba_hq.json", metrics)
    sizes = "/".join(f"{metrics[name]:,}" for name in SPLITS)
    stage.done(
        f"wrote data/celeba_hq, {len(present):,} images of {len(index):,} rows "
        f"({metrics['absent']:,} absent, {metrics['unreadable']:,} unreadable), split {sizes}"
    )


if __name__ == "__main__":
    run(main)
