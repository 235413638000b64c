"""Add large CelebA images that are not in CelebA-HQ to the training images, cropped around the face.

Those that look like a held-out image of CelebA-HQ are named.
"""

import pandas as pd

from difflab.core.base.files import atomic_path
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.core.base.store.split import SPLITS
from difflab.images.archives.opening import is_own, open_source
from difflab.images.celeba import celeba, celeba_hq
from difflab.images.params import PrepareCelebaInputs
from difflab.images.preparing.near_twins import describe, look, near_twins
from difflab.images.preparing.samples import Skipped
from difflab.images.preparing.store_writer import write_store


def main(stage: Stage[PrepareCelebaInputs]) -> None:
    params = stage.params
    if is_own("data/raw/celeba_hq"):
        return add_nothing(stage)
    hq_archive = open_source("data/raw/celeba_hq", params.data.data_root)
    archive = open_source("data/raw/celeba", params.data.data_root)
    table = celeba.read_table(archive)
    hq_table = celeba_hq.read_table(hq_archive)
    celeba.check_same_attributes(table, hq_table)
    in_hq = table["file"].isin(celeba_hq.read_mapping(hq_archive, hq_table).values())
    candidates = table[~in_hq]
    skipped = Skipped()
    with atomic_path("data/celeba") as folder:
        samples = celeba.samples(archive, candidates, params.prepare, skipped)
        index = write_store(folder, samples, candidates.assign(split="train"), keep_absent=False)

    excluded = {"in_celeba_hq": int(in_hq.sum()), **skipped.counts("absent", "no_face_box", "unreadable", "small")}
    beyond_limit = len(table) - sum(excluded.values()) - len(index)
    metrics = {"rows": len(table), **excluded, "beyond_limit": beyond_limit, "kept": len(index)}
    hq = ImageStore("data/celeba_hq")
    held_out = [id for split in SPLITS if split != "train" for id in hq.split(split)]
    looks = {id: found for id in held_out if (found := look(hq.read([id])[0]))}
    twins = near_twins(looks, index["id"], skipped.looks | looks)
    metrics |= {"near_twins": len(twins)} if looks and skipped.looks else {}
    metrics["passed_over"] = archive.count_passed_over()
    for line in archive.describe_passed_over() + describe(twins):
        print(line)
    stage.write_metrics("metrics/prepare_celeba.json", metrics)
    reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in excluded.items())
    stage.done(f"wrote data/celeba, {len(index):,} of {len(table):,} images ({reasons})")


def add_nothing(stage: Stage[PrepareCelebaInputs]) -> None:
    """An empty store: to a person's own pictures nothing is added."""
    with atomic_path("data/celeba") as folder:
        columns = ImageStore("data/celeba_hq").table.columns.drop(["present", "sha256", "width", "height"])
        write_store(folder, [], pd.DataFrame(columns=columns, index=pd.Index([], name="id")), keep_absent=False)
    stage.write_metrics("metrics/prepare_celeba.json", {"rows": 0, "kept": 0})
    stage.done("wrote data/celeba, empty: nothing is added to your own pictures")


if __name__ == "__main__":
    run(main)
