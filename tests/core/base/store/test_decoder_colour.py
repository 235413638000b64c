"""The decoder's colours: profiles, other spaces than RGB, numbers that do not say what is white."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from tifffile import imwrite

from difflab.core.base.store.decoder import UnreadableImage, decode_image, image_size
from fakes import pictures

GREEN = (60, 180, 70)
P3 = np.array(
    [[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0983]]
)  # from its light to that of sRGB
LINEAR = struct.pack(">I", 100_000)  # gAMA
PRIMARIES = [(31270, 32900), (68000, 32000), (26500, 69000), (15000, 6000)]  # cHRM of P3


def light(values) -> np.ndarray:
    values = np.asarray(values) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def levels(light) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_an_embedded_profile_is_converted_to_srgb(form, mode):
    if (form, mode) == ("WEBP", "P"):
        pytest.skip("WebP has no palettes")
    image = Image.new("RGB", (8, 8), GREEN)
    image = image.quantize(2) if mode == "P" else image.convert(mode)
    options = {"lossless": True} if form == "WEBP" else {}
    found = np.asarray(decode_image(pictures.saved(image, form, icc_profile=pictures.icc_profile(), **options), "a"))
    linear = np.array(pictures.ADOBE_RGB).T @ (np.array(GREEN) / 255) ** (563 / 256)  # 2.2 in the profile's fractions
    to_srgb = np.array([[3.1339, -1.6169, -0.4906], [-0.9785, 1.9160, 0.0333], [0.0720, -0.2290, 1.4057]])  # of D50
    light = np.clip(to_srgb @ linear, 0, 1)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(found[4, 4] - expected).max() <= 2


def test_the_profile_of_a_jpeg_2000_file_is_found():
    plain, icc = pictures.saved(Image.new("RGB", (16, 16), GREEN), "JPEG2000"), pictures.icc_profile()
    at = plain.index(b"colr") - 4
    old = int.from_bytes(plain[at : at + 4])
    box = (11 + len(icc)).to_bytes(4) + b"colr\2\0\0" + icc
    header = plain.index(b"jp2h") - 4
    length = int.from_bytes(plain[header : header + 4]) - old + len(box)
    content = plain[:header] + length.to_bytes(4) + plain[header + 4 : at] + box + plain[at + old :]
    tagged = decode_image(pictures.saved(Image.new("RGB", (16, 16), GREEN), icc_profile=icc), "a")
    found = np.asarray(decode_image(content, "a"), np.int16)
    assert np.abs(found - np.asarray(tagged, np.int16)).max() <= 2


@pytest.mark.parametrize(("bits", "kind"), [(8, "i1"), (16, "<i2")])
def test_signed_numbers_are_refused(bits, kind):
    values = np.arange(-8, 8, dtype=kind).reshape(4, 4)
    content = pictures.saved(Image.fromarray(values.view(f"<u{bits // 8}")), "TIFF", tiffinfo={339: 2})
    with pytest.raises(UnreadableImage, match="signed integers do not say what is white"):
        decode_image(content, "a")


def test_what_the_header_refuses_takes_up_no_place_in_a_split():
    """A folder's own pictures are counted by their headers, before they are decoded."""
    content = pictures.saved(Image.new("I", (8, 8)), "TIFF")
    with pytest.raises(UnreadableImage, match="32-bit or signed integers do not say what is white"):
        image_size(content, "a")


def test_what_is_converted_stays_so_when_it_is_written_again():
    wide = pictures.saved(Image.new("RGB", (8, 8), GREEN), icc_profile=pictures.icc_profile())
    first = decode_image(wide, "a")
    assert np.array_equal(np.asarray(decode_image(pictures.saved(first), "a")), np.asarray(first))
    assert not first.info


@pytest.mark.parametrize("profile", ["srgb", b"", b"garbage", pictures.icc_profile(space=b"GRAY"), bytes(2_000_000)])
def test_a_profile_of_srgb_and_one_that_does_not_fit_change_nothing(profile):
    if profile == "srgb":
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = pictures.smooth()
    assert np.array_equal(np.asarray(decode_image(pictures.saved(image, icc_profile=profile), "a")), np.asarray(image))


def test_grey_has_profiles_of_its_own_or_those_of_colours():
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    linear = pictures.saved(image, icc_profile=pictures.icc_profile(gamma=1.0, space=b"GRAY"))
    found = np.asarray(decode_image(linear, "a"))[..., 0].ravel()
    assert abs(int(found[55]) - 128) <= 1  # 0.2159 of the light is level 128 of sRGB
    for gamma in (1.0, 2.2):
        tagged = pictures.saved(image, icc_profile=pictures.icc_profile(gamma=gamma))
        assert (np.ptp(np.asarray(decode_image(tagged, "a")).astype(int), axis=2) <= 1).all()


CMYK = (("TIFF", {}), ("TIFF", {"icc_profile": pictures.icc_profile()}), ("JPEG", {"quality": 97}))


@pytest.mark.parametrize(("form", "options"), CMYK)
def test_cmyk_without_a_profile_of_its_own_is_the_complement(form, options):
    content = pictures.saved(pictures.smooth().convert("CMYK"), form, **options)
    assert np.abs(np.asarray(decode_image(content, "a"), np.int16) - np.asarray(pictures.smooth())).max() <= 8


def test_lab_is_what_it_means():
    lab = ImageCms.profileToProfile(
        pictures.smooth(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    found = np.asarray(decode_image(pictures.saved(lab, "TIFF"), "a"), np.int16)
    assert np.abs(found - np.asarray(pictures.smooth())).mean() <= 3


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16"])
def test_a_png_without_a_profile_has_the_curve_that_it_states(mode):
    grey = Image.new("L", (8, 8), 55)
    image = Image.fromarray(np.full((8, 8), 55 * 257, np.uint16)) if mode == "I;16" else grey.convert(mode)
    found = decode_image(pictures.with_chunk(pictures.saved(image), b"gAMA", LINEAR), "a")
    assert np.abs(np.asarray(found) - levels(55 / 255)).max() <= 1


@pytest.mark.parametrize("gamma", [45455, 47619, 0, 20, 220_000, 2**32 - 1])
def test_the_curve_of_srgb_and_one_that_no_screen_has_change_nothing(gamma):
    content = pictures.with_chunk(pictures.saved(pictures.smooth()), b"gAMA", struct.pack(">I", gamma))
    for more in (bytes(32), b"\xff" * 32, struct.pack(">8I", *PRIMARIES[0] * 4)):
        shown = decode_image(pictures.with_chunk(content, b"cHRM", more), "a")
        assert np.array_equal(np.asarray(shown), np.asarray(pictures.smooth()))


def test_what_says_srgb_or_holds_a_profile_is_asked_for_no_curve():
    plain = pictures.saved(pictures.smooth())
    named = pictures.with_chunk(pictures.with_chunk(plain, b"gAMA", LINEAR), b"sRGB", b"\0")
    assert np.array_equal(np.asarray(decode_image(named, "a")), np.asarray(pictures.smooth()))
    tagged = pictures.saved(pictures.smooth(), icc_profile=pictures.icc_profile())
    both = decode_image(pictures.with_chunk(tagged, b"gAMA", LINEAR), "a")
    assert np.array_equal(np.asarray(both), np.asarray(decode_image(tagged, "a")))


def avif(primaries: int, transfer: int) -> bytes:
    content = pictures.saved(Image.new("RGB", (8, 8), GREEN), "AVIF", quality=100, subsampling="4:4:4")
    at = content.index(b"colrnclx") + 8
    return content[:at] + struct.pack(">HH", primaries, transfer) + content[at + 4 :]


def test_other_primaries_than_those_of_srgb_are_converted():
    plain = pictures.saved(Image.new("RGB", (8, 8), GREEN))
    expected = levels(P3 @ light(GREEN))
    stated = pictures.with_chunk(plain, b"cHRM", struct.pack(">8I", *np.ravel(PRIMARIES).tolist()))
    for content in (
        pictures.with_chunk(plain, b"cICP", bytes([12, 13, 0, 1])),
        pictures.with_chunk(stated, b"gAMA", struct.pack(">I", 45455)),
        avif(12, 13),
    ):
        assert np.abs(np.asarray(decode_image(content, "a")) - expected).max() <= 3
    assert np.abs(np.asarray(decode_image(avif(2, 2), "a"), np.int16) - GREEN).max() <= 2


@pytest.mark.parametrize(("transfer", "kind"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(transfer, kind):
    png = pictures.with_chunk(pictures.saved(pictures.smooth()), b"cICP", bytes([9, transfer, 0, 1]))
    for content in (png, avif(9, transfer)):
        for function in (decode_image, image_size):
            with pytest.raises(
                UnreadableImage, match=rf"unreadable: a \(its colours are HDR \({kind}\): save it as sRGB"
            ):
                function(content, "a")


def test_a_profile_that_shows_all_levels_alike_is_passed_over():
    black = pictures.saved(pictures.smooth(), icc_profile=pictures.icc_profile(((0, 0, 0),) * 3))
    assert np.array_equal(np.asarray(decode_image(black, "a")), np.asarray(pictures.smooth()))


@pytest.mark.parametrize("order", ["<", ">"])
def test_layers_of_16_bits_are_read_or_refused(order):
    """Pillow takes those that are not compressed for layers of 8 bits."""
    layers = np.asarray(pictures.smooth(), np.uint16).transpose(2, 0, 1) * 257

    def written(**options) -> bytes:
        buffer = io.BytesIO()
        imwrite(buffer, layers, photometric="rgb", planarconfig="separate", byteorder=order, **options)
        return buffer.getvalue()

    with pytest.raises(UnreadableImage, match="its 16-bit channels lie one behind another"):
        decode_image(written(), "a")
    assert np.array_equal(np.asarray(decode_image(written(compression="zlib"), "a")), np.asarray(pictures.smooth()))
