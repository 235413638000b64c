"""`difflab caption`: captions of pictures by a trained captioner."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams


def caption(
    paths: Sequence[str],
    model: Path,
    num_beams: int | None,
    runtime: "RuntimeParams",
    models: Path = Path("models/zoo"),
) -> Iterator[tuple[Path, str]]:
    """Each picture with its caption, in order.

    Args:
        paths: picture files, or folders, whose pictures are read in the order of their names.
        model, models: a folder of the stage `captioner`, and that of the base models.
        num_beams: None: as in the model's settings.

    Raises:
        DifflabError: a path is no picture, or the model or one of its bases is missing or damaged.
    """
    from difflab.core.base.store.decoder import decode_image, image_size

    files = pictures(paths)
    for file in files:
        image_size(_content(file), str(file))  # all of them before the models are loaded, which takes longer

    from transformers.utils.logging import disable_progress_bar

    from difflab.captioning.captioner_model.captioner_folder import load_captioner
    from difflab.core.base.runtime import configure, resolve_device, resolve_dtype

    configure(runtime.num_threads)
    disable_progress_bar()
    captioner, settings = load_captioner(model, resolve_device(runtime.device), resolve_dtype(runtime.dtype), models)
    decoding = settings.decoding.model_copy(update={"num_beams": num_beams or settings.decoding.num_beams})
    for start in range(0, len(files), decoding.batch_size):
        batch = files[start : start + decoding.batch_size]
        images = [decode_image(_content(file), str(file)) for file in batch]
        yield from zip(batch, captioner.captions_of(images, decoding), strict=True)


def pictures(paths: Sequence[str]) -> list[Path]:
    """The picture files that paths name, folders at any depth; other files in them are named on stderr.

    Raises:
        DifflabError: a path is an address or absent, or a folder holds no picture.
    """
    from difflab.images.archives.opening import open_archive
    from difflab.images.archives.pictures import list_pictures

    files = []
    for path in paths:
        if "://" in path:
            raise DifflabError(f"{path} is a URL: download the picture and give its file")
        place = Path(path)
        if not place.exists():
            raise DifflabError(f"{path} does not exist: give picture files or folders")
        if not place.is_dir():
            files.append(place)
            continue
        archive = open_archive(place)
        inside = list_pictures(archive)
        if not inside:
            raise DifflabError(f"{path} holds no picture: give a folder with PNG, JPEG or other image files")
        archive.pass_over("no picture", sorted(set(archive.names()) - set(inside)))
        for line in archive.describe_passed_over():
            print(line, file=sys.stderr)
        files += [archive.place(name) for name in inside]
    return files


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DifflabError(f"{file} cannot be read ({error.strerror}): give picture files or folders") from None
