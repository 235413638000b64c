"""Square crops: the one in the middle of an image, and the one around a face."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[int, int, int, int]


def centre_square(width: int, height: int) -> Box:
    """The largest square in the middle of a width x height image: left, top, right, bottom in pixels."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def face_square(width: int, height: int, face: Box) -> Box:
    """The largest square of a width x height image, centred on the face box and moved inside the image.

    Args:
        face: x, y of the top left corner, width, height, in pixels (CelebA's list_bbox_celeba.txt).

    Returns:
        left, top, right, bottom in pixels, as PIL's `crop` takes it; the side is min(width, height).
    """
    side = min(width, height)
    x, y, face_width, face_height = face
    left = x + face_width // 2 - side // 2
    top = y + face_height // 2 - side // 2
    left = min(max(left, 0), width - side)
    top = min(max(top, 0), height - side)
    return left, top, left + side, top + side


def resized_square(image: "Image.Image", size: int) -> "Image.Image":
    """The square in the middle, resized to `size` by PIL's antialiased bicubic filter."""
    from PIL import Image

    if image.size == (size, size):
        return image
    return image.crop(centre_square(*image.size)).resize((size, size), Image.Resampling.BICUBIC)
