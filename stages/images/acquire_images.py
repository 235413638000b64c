"""Build the miniature's image sets, or take (or download) the official archives, into data/raw/."""

from pathlib import Path

from difflab.core.stage import Stage, run
from difflab.images.acquire.sets import OFFICIAL, acquire
from difflab.images.params import AcquireImagesInputs


def main(stage: Stage[AcquireImagesInputs]) -> None:
    found = []
    for dataset in OFFICIAL:
        folder = Path("data/raw") / dataset
        found.append(acquire(dataset, folder, stage.params.data, stage.params.seed, stage.scratch()))
    stage.done("; ".join(found))


if __name__ == "__main__":
    run(main)
