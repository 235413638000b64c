"""Build the miniature's archives, or take (or download) the official ones, into data/raw/."""

from pathlib import Path

from difflab.core.stage import Stage, run
from difflab.images.acquire.faces import OFFICIAL, acquire
from difflab.images.params import AcquireInputs


def main(stage: Stage[AcquireInputs]) -> None:
    found = []
    for role in OFFICIAL:
        folder = Path("data/raw") / role
        found.append(acquire(role, folder, stage.params.data, stage.params.seed, stage.scratch()))
    stage.done("; ".join(found))


if __name__ == "__main__":
    run(main)
