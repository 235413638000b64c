"""Build an archive of the miniature's faces, or take (or download) the official one, into data/raw/."""

from functools import partial
from pathlib import Path

from difflab.core.base.stage import Stage, run
from difflab.images.archives.acquire import acquire
from difflab.images.params import AcquireInputs
from difflab.miniature.archives import face_archives
from difflab.miniature.data.bundled import SEED

BUILDERS = {"celeba_hq": face_archives.write_celeba_hq, "celeba": face_archives.write_celeba}


def main(stage: Stage[AcquireInputs], *, archive: str) -> None:
    data = stage.params.data
    build = partial(BUILDERS[archive], seed=SEED)
    folder = Path("data/raw") / archive
    stage.done(acquire(archive, folder, data[archive], data.data_root, build, stage.scratch()))


if __name__ == "__main__":
    run(main)
