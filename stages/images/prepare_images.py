"""Store the images of each set as equal squares by sample id, with their split, classes and captions."""

from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.captions import write_captions
from difflab.images.archives.opening import open_source
from difflab.images.params import PrepareImagesInputs
from difflab.images.preparing.near_twins import describe, near_twins
from difflab.images.preparing.samples import Skipped, check_splits
from difflab.images.preparing.store_writer import write_store
from difflab.images.sets import image_sets

SEED = 0  # of the split of the scenes, which is part of the data: the study's is of trainings and samples


def main(stage: Stage[PrepareImagesInputs]) -> None:
    params = stage.params
    settings = params.images
    metrics: dict[str, float | str | None] = {}
    for dataset, size in settings.image_size:
        archive = open_source(Path("data/raw") / dataset, params.data.data_root)
        image_set = image_sets.read_image_set(
            dataset, archive, SEED, settings.scenes_test_fraction, settings.max_images[dataset], settings.caption_column
        )
        skipped = Skipped()
        with atomic_path(Path("data/images") / dataset) as folder:
            samples = image_sets.samples(archive, image_set, size, settings.non_square, params.prepare, skipped)
            index = write_store(folder, samples, image_set.table(), keep_absent=False)
            needed = image_sets.SPLITS[:1] if dataset in image_sets.TRAINING_ONLY else image_sets.SPLITS
            check_splits(archive, index, needed, skipped, f"images.image_size.{dataset}")
            captions = image_set.captions(index.set_index("id")["sha256"])
            if len(captions):
                write_captions(folder / "captions.parquet", captions)

        counts = {split: int((index["split"] == split).sum()) for split in image_sets.SPLITS}
        found = {"images": len(index), **counts, "classes": len(image_set.classes), "image_size": size}
        found |= {"captions": len(captions), **skipped.counts("absent", "unreadable", "small", "cropped")}
        train, test = (index.loc[index["split"] == split, "id"] for split in image_sets.SPLITS)
        twins = near_twins(test, train, skipped.looks)
        found |= image_set.dropped
        found |= {"duplicates": image_sets.shared_images(index)}
        found |= {"near_twins": len(twins)} if skipped.looks else {}
        found["passed_over"] = archive.count_passed_over()
        print(
            f"{dataset}: {counts['train']:,} images to train on and {counts['test']:,} to test, {size} x {size} "
            f"({found['unreadable']:,} unreadable, {found['small']:,} too small, {found['cropped']:,} cropped)"
        )
        for line in archive.describe_passed_over() + describe(twins):
            print(line)
        print(image_sets.class_counts(index, image_set.classes).to_string(index=False))
        metrics |= {f"{dataset}_{name}": count for name, count in found.items()}
    stage.write_metrics("metrics/prepare_images.json", metrics)
    stage.done("wrote data/images")


if __name__ == "__main__":
    run(main)
