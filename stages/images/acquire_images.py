"""Build the archives of image sets and subjects, or take (or download) the official ones, into data/raw/."""

from functools import partial
from pathlib import Path

from difflab.core.base.stage import Stage, run
from difflab.images.archives.acquire import acquire, find_archive
from difflab.images.params import AcquireImagesInputs
from difflab.miniature.archives import set_archives, subjects
from difflab.miniature.data.bundled import SEED

BUILDERS = {
    "cifar10": set_archives.write_cifar10,
    "mnist": set_archives.write_mnist,
    "scenes": set_archives.write_scenes,
    "coco": set_archives.write_coco,
    "recipes": set_archives.write_recipes,
    "subjects": subjects.write_subjects,
}


def main(stage: Stage[AcquireImagesInputs]) -> None:
    data = stage.params.data
    sets = dict(cifar10=data.cifar10, mnist=data.mnist, scenes=data.scenes, coco=data.coco, recipes=data.recipes)
    sets |= {"subjects": data.subjects}
    for archive, settings in sets.items():  # what is missing is said before anything is fetched
        if settings.source == "data_root":
            find_archive(archive, data.data_root, settings)
    for archive, settings in sets.items():
        folder, build = Path("data/raw") / archive, partial(BUILDERS[archive], seed=SEED)
        print(acquire(archive, folder, settings, data.data_root, build, stage.scratch()), flush=True)
    stage.done(f"wrote data/raw/{{{','.join(BUILDERS)}}}")


if __name__ == "__main__":
    run(main)
