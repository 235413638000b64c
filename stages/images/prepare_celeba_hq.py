"""Split CelebA-HQ into train, val and test and store its images and attributes by sample id."""

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, write_csv
from difflab.core.stage import Stage, run
from difflab.datasets import data_set_of
from difflab.images.archives.opening import open_source
from difflab.images.celeba import celeba_hq
from difflab.images.params import PrepareCelebaHqInputs
from difflab.images.preparing.samples import Skipped
from difflab.images.store.split import SPLITS
from difflab.images.store_writer import write_store


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
        write_csv(folder / "frequencies.csv", shares)
        if empty := [name for name in SPLITS if not index.loc[index["split"] == name, "present"].any()]:
            raise DifflabError(
                f"{archive.path} has no readable image for the split {', '.join(empty)}: put more images there"
            )

    print(shares.to_string(index=False, float_format="{:.4f}".format))
    for line in skipped.lines():
        print(line)
    present = index[index["present"]]
    metrics = {"rows": len(index), "present": len(present)}
    metrics |= {"absent": len(skipped.absent), "unreadable": len(skipped.unreadable)}
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
