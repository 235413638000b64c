"""Captions of pictures by a trained captioner, for people."""

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
        paths: files, or folders, whose pictures are taken in the order of their names.
        model: a folder of the stage `captioner`.
        num_beams: as in `DecodingParams`; None takes what the model was trained with.
        models: where the base models are.

    Raises:
        DifflabError: a path is no picture, or the model or one of its bases is missing or damaged.
    """
    from difflab.images.store.decoder import decode_image, image_size

    files = pictures(paths)
    for file in files:
        image_size(_content(file), str(file))  # all of them before the models are loaded, which takes longer

    from difflab.core.base.runtime import configure, resolve_device, resolve_dtype

    configure(runtime.num_threads)
    from transformers.utils.logging import disable_progress_bar

    from difflab.captioning.captioner.captioner_folder import load

    disable_progress_bar()
    try:
        captioner, settings = load(
            model, resolve_device(runtime.device), resolve_dtype(runtime.dtype), models
        )
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _damaged(model, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
    if not all(weight.isfinite().all() for weight in captioner.projector.parameters()):
        raise _damaged(model, "weights that are no numbers")
    decoding = settings.decoding
    if num_beams is not None:
        decoding = decoding.model_copy(update={"num_beams": num_beams})
    for start in range(0, len(files), decoding.batch_size):
        batch = files[start : start + decoding.batch_size]
        images = [decode_image(_content(file), str(file)) for file in batch]
        yield from zip(batch, captioner.captions_of(images, decoding), strict=True)


def _damaged(model: Path, why: str) -> DifflabError:
    return DifflabError(f"{model} is damaged ({why}): `dvc checkout {model}` puts the pipeline's own back")


def pictures(paths: Sequence[str]) -> list[Path]:
    """The picture files that paths name.

    Raises:
        DifflabError: a path is an address or absent, or a folder holds no picture.
    """
    from PIL import Image

    suffixes = Image.registered_extensions()
    files = []
    for path in paths:
        if "://" in path:
            raise DifflabError(f"{path} is an address: save the picture, and give its file")
        place = Path(path)
        if not place.exists():
            raise DifflabError(f"{path} does not exist: give picture files or folders")
        inside = [place]
        if place.is_dir():
            inside = sorted(f for f in place.iterdir() if f.is_file() and f.suffix.lower() in suffixes)
            if not inside:
                raise DifflabError(
                    f"{path} holds no picture: give a folder with PNG, JPEG or other image files"
                )
        files += inside
    return files


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DifflabError(
            f"{file} cannot be read ({error.strerror}): give picture files or folders"
        ) from None
