"""The decoder: every kind of image as RGB, turned and on white, and damage as one line."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from difflab.core.base.store.decoder import UnreadableImage, decode_image, image_size, is_image
from fakes import pictures
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
    assert image_size(content, "a") == decode_image(content, "a").size


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "of no known image format"),
        (b"not an image", "of no known image format"),
        (encoded(64, 64, form="JPEG")[:1500], "truncated"),
    ],
)
def test_damage_is_one_line(content, reason):
    with pytest.raises(UnreadableImage, match=rf"^unreadable: a\.png \(.*{reason}.*\)$"):
        decode_image(content, "a.png")


def test_a_size_is_read_without_the_pixels():
    assert image_size(encoded(64, 48, form="JPEG")[:1500], "a") == (64, 48)


FORMS = {"JPEG": {"quality": 97}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "AVIF": {"quality": 98}}


@pytest.mark.parametrize("noted", ["exif", "xmp", "both"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once_however_its_orientation_is_noted(form, noted, orientation):
    content = pictures.turned(pictures.smooth(), orientation, form, noted, **FORMS[form])
    found = decode_image(content, "a")
    assert found.size == image_size(content, "a") == (40, 24)
    assert np.abs(np.asarray(found, np.int16) - np.asarray(pictures.smooth())).max() <= 30


def ifd(*entries: bytes, extra: bytes = b"") -> bytes:
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4) + extra


def field(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


SIX = field(0x112, 3, 1, 6)


@pytest.mark.parametrize(
    ("exif", "is_turned"),
    [
        (ifd(SIX, field(0x11A, 10, 1, 38), extra=struct.pack("<ii", -1, 0)), True),
        (ifd(SIX, field(0x11A, 5, 2, 38), extra=bytes(16)), True),
        (ifd(SIX, field(0x10F, 3, 1, 7)), True),
        (ifd(SIX, field(0x10F, 2, 200, 5000)), True),
        (ifd(SIX, field(0x8825, 4, 1, 9999)), True),
        (b"Exif\0\0" + ifd(SIX), True),
        (ifd(field(0x112, 2, 2, 0x36)), False),
        (ifd(field(0x112, 3, 1, 9)), False),
        (ifd(field(0x112, 3, 1, 0)), False),
        (b"Exif\0\0garbage!", False),
    ],
)
def test_damaged_exif_leaves_the_pixels_whole(exif, is_turned):
    content = pictures.saved(Image.new("RGB", (16, 8), "red"), "JPEG", exif=exif)
    size = (8, 16) if is_turned else (16, 8)
    assert decode_image(content, "a").size == image_size(content, "a") == size


@pytest.mark.parametrize("hidden", [(0, 0, 0), (10, 230, 10), (255, 255, 255)])
@pytest.mark.parametrize(
    ("mode", "form"), [("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("P", "PNG"), ("P", "GIF")]
)
def test_what_is_hidden_under_transparency_is_never_seen(mode, form, hidden):
    pixels = np.full((16, 16, 4), (*hidden, 0), np.uint8)
    pixels[4:12, 4:12] = (200, 60, 30, 255)
    image = Image.fromarray(pixels)
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    if mode == "P":
        flat = Image.new("P", (16, 16), 0)
        flat.putpalette([*hidden, 200, 60, 30])
        flat.paste(1, (4, 4, 12, 12))
        image, options = flat, {"transparency": 0}
    found = np.asarray(decode_image(pictures.saved(image, form, **options), "a"))
    assert (found[0, 0] == 255).all()
    assert (found[8, 8] == (200, 60, 30)).all()


@given(bits=st.sampled_from([1, 2, 4, 8, 16]), data=st.data())
def test_grey_of_any_bits_fills_the_range_and_its_clear_value_is_white(bits, data):
    top = 2**bits - 1
    values = np.array(data.draw(st.lists(st.integers(0, top), min_size=64, max_size=64))).reshape(8, 8)
    clear = data.draw(st.none() | st.sampled_from(sorted(set(values.ravel().tolist()))))
    found = np.asarray(decode_image(pictures.grey_png(values, bits, clear), "a"))
    expected = np.floor(values / top * 255 + 0.5)
    if clear is not None:
        expected[values == clear] = 255
    assert np.array_equal(found, np.repeat(expected[..., None], 3, 2))


@given(st.integers(0, 255), st.integers(0, 255))
def test_transparency_is_blended_with_white(level, alpha):
    image = Image.fromarray(np.full((2, 2, 4), (level, level, level, alpha), np.uint8))
    exact = (level * alpha + 255 * (255 - alpha)) / 255
    for form in ("PNG", "TIFF"):
        found = np.asarray(decode_image(pictures.saved(image, form), "a"))
        assert np.abs(found - exact).max() <= 1


def test_a_colour_of_sixteen_bits_can_be_clear():
    content = bytearray(pictures.saved(Image.new("RGB", (4, 4), (7, 8, 9)), transparency=(7, 8, 9)))
    assert (np.asarray(decode_image(bytes(content), "a")) == 255).all()


def test_floating_point_is_0_to_1_or_refused():
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    found = np.asarray(decode_image(pictures.saved(Image.fromarray(ramp), "TIFF"), "a"))
    assert np.array_equal(found[..., 1].ravel(), np.arange(256))
    for wrong in (ramp * 255, ramp - 0.5, np.where(ramp > 0.5, np.nan, ramp)):
        with pytest.raises(UnreadableImage, match="must be 0 to 1"):
            decode_image(pictures.saved(Image.fromarray(wrong), "TIFF"), "a")


def test_integers_of_32_bits_are_refused_with_the_reason():
    image = Image.fromarray(np.arange(64, dtype=np.int32).reshape(8, 8))
    with pytest.raises(UnreadableImage, match=r"^unreadable: a \(32-bit .* do not say what is white: save it with 8"):
        decode_image(pictures.saved(image, "TIFF"), "a")


def test_sixteen_bits_may_be_stored_in_reverse_and_as_plain_text():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    upright = np.rint(ramp / 257)
    reverse = pictures.saved(Image.fromarray(ramp), "TIFF", tiffinfo={262: 0})
    assert np.array_equal(np.asarray(decode_image(reverse, "a"))[..., 0], 255 - upright)
    pgm = b"P5 8 8 65535\n" + ramp.astype(">u2").tobytes()
    assert np.array_equal(np.asarray(decode_image(pgm, "a"))[..., 0], upright)


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_counts(form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    content = pictures.saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert (np.asarray(decode_image(content, "a")) == (255, 0, 0)).all()


def test_what_the_first_frame_of_a_gif_leaves_free_is_white():
    """As browsers show it, whatever the colour of its background."""
    frame = Image.new("P", (4, 3), 1)
    frame.putpalette([0, 0, 255, 255, 0, 0])
    frame.putpixel((0, 0), 0)
    frame.save(buffer := io.BytesIO(), "GIF", optimize=False)
    content = bytearray(buffer.getvalue())
    content[6:10] = struct.pack("<HH", 8, 8)  # the screen; the frame lies at 2, 1
    at = content.index(b"\x2c\0\0\0\0")
    content[at + 1 : at + 5] = struct.pack("<HH", 2, 1)
    pixels = np.asarray(decode_image(bytes(content), "x.gif"))
    expected = np.full((8, 8, 3), 255)
    expected[1:4, 2:6] = (255, 0, 0)
    expected[1, 2] = (0, 0, 255)
    assert (pixels == expected).all()


def test_a_mask_shows_black_where_it_is_transparent():
    image = Image.new("RGBA", (2, 1), (255, 255, 255, 0))
    image.putpixel((0, 0), (255, 255, 255, 255))
    image.save(buffer := io.BytesIO(), "PNG")
    assert np.asarray(decode_image(buffer.getvalue(), "x.png", ground="black"))[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
def test_a_long_text_or_profile_in_a_png_leaves_its_pixels_whole(kind):
    plain = pictures.saved(pictures.smooth())
    packed = zlib.compress(b"x" * 2_000_000)
    data = {
        b"zTXt": b"workflow\0\0" + packed,
        b"iTXt": b"prompt\0\1\0\0\0" + packed,
        b"tEXt": b"prompt\0" + b"x" * 2_000_000,
        b"iCCP": b"icc\0\0" + packed,
    }[kind]
    found = decode_image(pictures.with_chunk(plain, kind, data), "a")
    assert np.array_equal(np.asarray(found), np.asarray(pictures.smooth()))


@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (100_000, 100_000), (2**31 - 1, 1)])
def test_more_than_100_megapixels_are_refused_before_they_are_decoded(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + pictures.chunk(b"IHDR", head) + pictures.chunk(b"IDAT", b"")
    for function in (decode_image, image_size):
        with pytest.raises(UnreadableImage, match="megapixels"):
            function(content, "a")


@pytest.mark.parametrize("form", [*FORMS, "GIF", "BMP", "PPM", "JPEG2000"])
def test_truncated_files_are_refused(form):
    content = encoded(64, 64, form=form)
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(UnreadableImage, match=r"^unreadable: a \("):
            decode_image(content[: int(part * len(content))], "a")


@pytest.mark.parametrize("form", [*FORMS, "GIF", "BMP", "PPM", "JPEG2000", "ICO", "QOI"])
def test_images_are_known_by_their_first_bytes(form):
    assert is_image(encoded(32, 32, form=form)[:32])


@pytest.mark.parametrize(
    "head", [b"", b"%PDF-1.4\n%%EOF", b"<html>", bytes(200), b"\0\5\x16\7\0\2\0\0Mac OS X        ", b"PK\3\4"]
)
def test_other_files_are_no_images(head):
    assert not is_image(head)


@pytest.mark.parametrize(
    "head", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"\xd7\xcd\xc6\x9a" + bytes(60)]
)
def test_formats_that_start_other_programs_are_not_opened(head):
    with pytest.raises(UnreadableImage, match="of no known image format"):
        decode_image(head, "a")


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"hevs"])  # single pictures, bursts
def test_heic_is_named(brand):
    with pytest.raises(UnreadableImage, match="HEIC, which is not read: save it as JPEG or PNG"):
        decode_image(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic", "a")


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\xff\x0a" + bytes(40), "JPEG XL, which is not read: save it as JPEG or PNG"),
        (b"8BPS\0\1" + bytes(40), "PSD, which is not read"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "a pointer of Git LFS: `git lfs pull` fetches",
        ),
        (b"\n<!DOCTYPE html><html>", "a page of the web: its download has failed"),
    ],
)
def test_what_else_lies_under_a_picture_s_name_is_named(head, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode_image(head, "a.jpg")


def empty_png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + pictures.chunk(b"IHDR", head) + pictures.chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize(
    "content", [empty_png(0, 5), empty_png(5, 0), b"GIF89a" + bytes(7) + b"," + bytes(9) + b"\2\1L\0;", b"P6 0 4 255\n"]
)
def test_a_picture_without_pixels_is_refused(content):
    for function in (decode_image, image_size):
        with pytest.raises(UnreadableImage, match=r"^unreadable: a \("):
            function(content, "a")


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF", "PNG"])
@pytest.mark.parametrize(("exif", "xmp", "counts"), [(1, 6, 1), (6, 1, 6), (3, 6, 3), (0, 6, 6), (9, 6, 6), (6, 9, 6)])
def test_exif_counts_where_xmp_says_otherwise_and_holds_an_orientation(form, exif, xmp, counts):
    content = pictures.turned(Image.new("RGB", (40, 24)), 1, form, "both", told=(exif, xmp))
    assert decode_image(content, "a").size == image_size(content, "a") == ((24, 40) if counts == 6 else (40, 24))


PLAIN = pictures.saved(pictures.smooth())
ANCILLARY = st.from_regex(rb"[a-z][A-Za-z][A-Z][A-Za-z]", fullmatch=True).filter(
    lambda kind: kind not in (b"tRNS", b"gAMA", b"cICP")
)


@given(ANCILLARY, st.binary(max_size=40), st.booleans())
@example(b"pHYs", b"", False)
@example(b"iCCP", b"", False)
@example(b"iCCP", b"name\0\1of no known packing", False)
@example(b"iCCP", b"icc\0\0" + zlib.compress(bytes(20_000_000)), False)
@example(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"x" * 20_000_000), False)
@example(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 20_000_000), False)
@example(b"acTL", b"\0", False)
@example(b"gAMA", b"\0", False)
@example(b"cICP", b"\x09\x10", False)
@example(b"tIME", b"", True)
def test_what_a_png_holds_beside_its_pixels_never_costs_them(kind, data, is_behind):
    end = -12 if is_behind else 33
    content = PLAIN[:end] + pictures.chunk(kind, data) + PLAIN[end:]
    assert np.array_equal(np.asarray(decode_image(content, "a")), np.asarray(pictures.smooth()))


def test_a_long_xmp_still_says_the_orientation_whatever_was_decoded_before():
    xmp = b'<rdf:Description tiff:Orientation="6"/>' + b"x" * 2_000_000
    for packed in (b"\1\0\0\0" + zlib.compress(xmp), b"\0\0\0\0" + xmp):
        content = pictures.with_chunk(PLAIN, b"iTXt", b"XML:com.adobe.xmp\0" + packed)
        assert decode_image(content, "a").size == (24, 40)


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_the_preview_in_a_camera_s_raw_file_is_not_its_picture(tags):
    content = pictures.saved(pictures.smooth(), "TIFF", tiffinfo=tags)
    for function in (decode_image, image_size):
        with pytest.raises(UnreadableImage, match="a preview, as in camera raw files: save it as JPEG or PNG"):
            function(content, "a")


@given(st.sampled_from("123456fF"), st.from_regex(r"[a-zA-Z ,.]{0,40}", fullmatch=True))
def test_a_caption_is_no_plain_bitmap(number, text):
    assert not is_image(f"P{number} {text}".encode())
    assert not is_image(f"GIF {text}".encode())
