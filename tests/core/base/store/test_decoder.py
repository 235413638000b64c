"""The decoder: every kind of image as RGB, turned and on white, and damage as one line."""

import io

import numpy as np
import pytest
from PIL import Image

from difflab.core.base.store.decoder import UnreadableImage, check_image, decode_image, image_size
from fakes.set_archives import decoded, encoded


def png(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def turned(width: int, height: int, orientation: int, form: str = "PNG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(width, height, form=form, exif=exif)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
def test_an_image_is_what_pil_reads(form):
    content = encoded(9, 7, form=form)
    image = decode_image(content, "a")
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), decoded(content))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "LA", "I;16", "CMYK"])
def test_images_of_any_mode_become_rgb(mode):
    buffer = io.BytesIO()
    Image.new(mode, (8, 6)).save(buffer, format="TIFF")
    image = decode_image(buffer.getvalue(), "a")
    assert (image.mode, image.size) == ("RGB", (8, 6))


def test_grey_keeps_its_values():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert np.array_equal(np.asarray(decode_image(png(grey), "a").convert("L")), np.asarray(grey))


def test_sixteen_bits_of_grey_are_scaled_not_clipped():
    levels = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    found = np.asarray(decode_image(png(Image.fromarray(levels)), "a"))
    assert np.abs(found[..., 0] - levels / 257).max() <= 0.5


def test_transparent_pixels_are_white():
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 255  # red that nobody sees
    pixels[:4, :, 3] = 255
    found = np.asarray(decode_image(png(Image.fromarray(pixels)), "a"))
    assert (found[:4] == [255, 0, 0]).all()
    assert (found[4:] == 255).all()


def test_the_camera_s_orientation_is_applied():
    found = np.asarray(decode_image(turned(8, 6, 6), "a"))  # turned by 90 degrees
    assert np.array_equal(found, np.rot90(decoded(encoded(8, 6)), -1))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_of_the_decoded_image(form, orientation):
    content = turned(40, 24, orientation, form)
    assert image_size(content, "a") == check_image(content, "a") == decode_image(content, "a").size


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "of no known image format"),
        (b"not an image", "of no known image format"),
        (encoded(64, 64, form="JPEG")[:1500], "truncated"),
    ],
)
def test_damage_is_one_line(content, reason):
    for function in (decode_image, check_image):
        with pytest.raises(UnreadableImage, match=rf"^unreadable: a\.png \(.*{reason}.*\)$"):
            function(content, "a.png")


def test_a_size_is_read_without_the_pixels():
    assert image_size(encoded(64, 48, form="JPEG")[:1500], "a") == (64, 48)


def test_an_image_of_a_size_that_no_memory_holds_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UnreadableImage, match="decompression bomb"):
        decode_image(encoded(8, 8), "a")
