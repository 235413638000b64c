"""Checking and cropping encoded images, in several processes when asked; results come in order."""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from difflab.core.base.files import png_bytes
from difflab.images.store.crop import Box, face_square, resized_square
from difflab.images.store.decoder import UnreadableImage, check_image, decode_image, image_size

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
R = TypeVar("R")
_COMPRESSION = 1  # of zlib: a third larger than the best, and many times as fast


class Prepared(NamedTuple):
    """What became of one image: its bytes and size, or (`image` empty) why it was dropped.

    Attributes:
        problem: "", unreadable or small.
        cropped: whether it was not square.
    """

    image: bytes
    width: int
    height: int
    problem: str = ""
    cropped: bool = False


UNREADABLE = Prepared(b"", 0, 0, "unreadable")


def checked(content: bytes) -> Prepared:
    """An encoded image that can be decoded to its end; its bytes are kept as they are."""
    try:
        return Prepared(content, *check_image(content, "image"))
    except UnreadableImage:
        return UNREADABLE


def face_png(job: tuple[bytes, Box, int]) -> Prepared:
    """Crop (content, face box, minimum side) to `face_square`, as PNG; a square image keeps its own bytes."""
    content, face, min_side = job
    try:
        width, height = image_size(content, "image")
        if min(width, height) < min_side:
            return Prepared(b"", width, height, "small")
        if width == height:
            return checked(content)
        square = decode_image(content, "image").crop(face_square(width, height, face))
    except UnreadableImage:
        return UNREADABLE
    return Prepared(png_bytes(square), *square.size, cropped=True)


def square_png(job: tuple[np.ndarray | bytes, int]) -> Prepared:
    """Centre crop to the largest square and resize by PIL's antialiased bicubic filter, never to a larger size.

    Args:
        job: uint8 [H, W] (stays grey) or [H, W, 3], or an encoded image; and the side in pixels.
    """
    content, size = job
    try:
        image = _image(content)
    except UnreadableImage:
        return UNREADABLE
    if min(image.size) < size:
        return Prepared(b"", *image.size, "small")
    buffer = io.BytesIO()
    resized_square(image, size).save(buffer, format="PNG", compress_level=_COMPRESSION)
    return Prepared(buffer.getvalue(), size, size, cropped=image.width != image.height)


def _image(content: np.ndarray | bytes) -> "Image.Image":
    from PIL import Image

    return Image.fromarray(content) if isinstance(content, np.ndarray) else decode_image(content, "image")


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
