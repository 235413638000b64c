"""From the files of a table to samples: checked or cropped in several processes when asked, in order."""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError, Unreadable
from difflab.core.base.files import png_bytes
from difflab.core.base.store.decoder import UnreadableImage, decode_image, image_size
from difflab.core.base.store.tensors import resized_square
from difflab.images.preparing.near_twins import Look, look
from difflab.images.preparing.store_writer import Sample

if TYPE_CHECKING:
    import pandas as pd

    from difflab.images.archives.opening import Archive
    from difflab.images.params import PrepareParams

T = TypeVar("T")
Box = tuple[int, int, int, int]
_COMPRESSION = 1  # of zlib: a third larger than the best, and many times as fast


@dataclass
class Skipped:
    """The files of a table that did not become samples, and those that were cropped, by reason, in table order."""

    absent: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    no_face_box: list[str] = field(default_factory=list)
    small: list[str] = field(default_factory=list)
    cropped: list[str] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict, compare=False)  # of the samples, by id

    def counts(self, *reasons: str) -> dict[str, int]:
        """How many files there are for each of these reasons."""
        return {reason: len(getattr(self, reason)) for reason in reasons}


class Prepared(NamedTuple):
    """An image that is ready to be stored; in place of one that is dropped a word says why, a field of `Skipped`."""

    image: bytes
    width: int
    height: int
    cropped: bool = False
    look: Look | None = None  # None for a grey one or one of one colour, and where nobody asks


def present(
    archive: "Archive", folder: str, rows: Iterable[tuple[str, str]], settings: "PrepareParams", skipped: Skipped
) -> list[tuple[str, str]]:
    """The rows (id, file) whose file the archive has in `folder`; the other files are noted in `skipped`."""
    rows = list(rows)
    found = [(id, file) for id, file in rows if archive.has(folder + file)]
    skipped.absent += [file for _, file in rows if not archive.has(folder + file)]
    if skipped.absent and settings.absent_images == "error":
        raise DifflabError(
            f"{len(skipped.absent)} of {len(rows)} images are absent from {archive.path}, the first is "
            f"{skipped.absent[0]}: complete it, or set prepare.absent_images=skip"
        )
    return found


def read_image(archive: "Archive", name: str) -> bytes:
    """The bytes of a member, or none where the archive itself is damaged there."""
    try:
        return archive.read(name)
    except Unreadable:
        return b""


def prepare(
    rows: Sequence[tuple[str, str]],
    results: Iterable[Prepared | str],
    title: str,
    settings: "PrepareParams",
    skipped: Skipped,
    limit: int | None = None,
) -> Iterator[Sample]:
    """The samples of the rows (id, file) by their results, in order and at most `limit`; progress is shown."""
    pairs = zip(rows, results, strict=True)
    yield from islice(_kept(runtime.progress(pairs, total=len(rows), desc=title, unit="image"), skipped), limit)
    unreadable = skipped.unreadable
    if unreadable and settings.unreadable_images == "stop":
        names = ", ".join(unreadable[:10]) + (", ..." if len(unreadable) > 10 else "")
        raise DifflabError(
            f"{len(unreadable)} images cannot be read ({names}): repair them, or set prepare.unreadable_images=skip"
        )
    for file in unreadable:
        print(f"unreadable image: {file}")


def _kept(results: Iterable[tuple[tuple[str, str], Prepared | str]], skipped: Skipped) -> Iterator[Sample]:
    for (id, file), result in results:
        if isinstance(result, str):
            getattr(skipped, result).append(file)
            continue
        if result.cropped:
            skipped.cropped.append(file)
        if result.look is not None:
            skipped.looks[id] = result.look
        yield Sample(id, file, result.image, result.width, result.height)


def check_splits(archive: "Archive", index: "pd.DataFrame", splits: Iterable[str], skipped: Skipped, side: str) -> None:
    """Refuse an index without an image for one of `splits`; `side` names the parameter that says what is small."""
    if empty := [split for split in splits if not (index["split"] == split).any()]:
        small = f"{len(skipped.small):,} are smaller than {side}, lower it"
        remedy = small if skipped.small else "put more images there"
        raise DifflabError(f"{archive.path} has no usable image for the split {', '.join(empty)}: {remedy}")


def checked(content: bytes) -> Prepared:
    """An encoded image that can be decoded to its end; its bytes are kept as they are."""
    image = decode_image(content, "image")
    return Prepared(content, *image.size, look=look(image))


def face_png(job: tuple[bytes, Box, int]) -> Prepared | str:
    """Crop (content, face box, minimum side) to `face_square`, as PNG; a square image keeps its own bytes.

    An image that does not show the face of its box gives "no_face_box".
    """
    content, face, min_side = job
    width, height = image_size(content, "image")
    if min(width, height) < min_side:
        return "small"
    if width == height:
        return checked(content)
    if not shows_face(width, height, face):
        return "no_face_box"
    square = decode_image(content, "image").crop(face_square(width, height, face))
    return Prepared(png_bytes(square), *square.size, cropped=True, look=look(square))


def shows_face(width: int, height: int, face: Box) -> bool:
    """Whether half of a face box or more lies in an image of this size: boxes of the original of a smaller copy do not.

    Args:
        face: see `face_square`; one without an area is in no image.
    """
    x, y, face_width, face_height = face
    inside = max(0, min(x + face_width, width) - max(x, 0)) * max(0, min(y + face_height, height) - max(y, 0))
    return face_width > 0 and face_height > 0 and 2 * inside >= face_width * face_height


def face_square(width: int, height: int, face: Box) -> Box:
    """The largest square of a width x height image, centred on the face box and moved inside the image.

    Args:
        face: x, y of the top left corner, width, height, in pixels (CelebA's list_bbox_celeba.txt); the result is
            left, top, right, bottom, as PIL's `crop` takes it.
    """
    side = min(width, height)
    x, y, face_width, face_height = face
    left = min(max(x + face_width // 2 - side // 2, 0), width - side)
    top = min(max(y + face_height // 2 - side // 2, 0), height - side)
    return left, top, left + side, top + side


def square_png(job: tuple[np.ndarray | bytes, int]) -> Prepared | str:
    """Centre crop to the largest square and resize by PIL's antialiased bicubic filter, never to a larger size.

    Args:
        job: uint8 [H, W] (stays grey) or [H, W, 3], or an encoded image; and the side in pixels.
    """
    content, size = job
    image = Image.fromarray(content) if isinstance(content, np.ndarray) else decode_image(content, "image")
    if min(image.size) < size:
        return "small"
    buffer = io.BytesIO()
    square = resized_square(image, size)
    square.save(buffer, format="PNG", compress_level=_COMPRESSION)
    return Prepared(buffer.getvalue(), size, size, image.width != image.height, look(square))


def readable(function: Callable[[T], Prepared | str], job: T) -> Prepared | str:
    """What `function` makes of a job, or that its image is unreadable."""
    try:
        return function(job)
    except UnreadableImage:
        return "unreadable"


def ordered_map(
    function: Callable[[T], Prepared | str], items: Iterable[T], num_workers: int
) -> Iterator[Prepared | str]:
    """What `readable` gives for each item, from `num_workers` processes; at most 4 items a process are in memory."""
    function = partial(readable, function)
    if num_workers == 1:
        yield from map(function, items)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    items = iter(items)
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        waiting = deque(pool.submit(function, item) for item in islice(items, 4 * num_workers))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
