"""The square crop around a face."""


def face_square(width: int, height: int, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The largest square of a width x height image, centred on the face box and moved inside the image.

    Args:
        box: x, y of the top left corner, width, height, in pixels (CelebA's list_bbox_celeba.txt).

    Returns:
        left, top, right, bottom in pixels, as PIL's `crop` takes it; the side is min(width, height).
    """
    side = min(width, height)
    x, y, box_width, box_height = box
    left = x + box_width // 2 - side // 2
    top = y + box_height // 2 - side // 2
    left = min(max(left, 0), width - side)
    top = min(max(top, 0), height - side)
    return left, top, left + side, top + side
