"""Checking and cropping encoded images, in several processes when asked; results come in order."""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from difflab.core.base.files import png_bytes

T = TypeVar("T")
R = TypeVar("R")


class Decoded(NamedTuple):
    """What became of one image: its bytes and size, or (`image` empty) why it was dropped."""

    image: bytes
    width: int
    height: int
    problem: str  # "" | unreadable | small


def check(content: bytes) -> Decoded:
    """Decode an encoded image completely; its bytes are kept as they are."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            image.draft("RGB", (width // 8, height // 8))  # JPEG: reads all of the file, transforms an eighth
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Decoded(b"", 0, 0, "unreadable")
    return Decoded(content, width, height, "")


def crop_face(job: tuple[bytes, tuple[int, int, int, int], int]) -> Decoded:
    """Crop (content, face box, minimum side) to `face_square`, as PNG; a square image keeps its own bytes."""
    from PIL import Image

    from difflab.images.preparing.crop import face_square

    content, box, min_side = job
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if min(width, height) < min_side:
                return Decoded(b"", width, height, "small")
            if width == height:
                return check(content)
            square = image.convert("RGB").crop(face_square(width, height, box))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return Decoded(b"", 0, 0, "unreadable")
    return Decoded(png_bytes(square), *square.size, "")


def ordered_map(function: Callable[[T], R], items: Iterable[T], num_workers: int) -> Iterator[R]:
    """`map(function, items)` in `num_workers` processes; at most 4 items a process are in memory."""
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
