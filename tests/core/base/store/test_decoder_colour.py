"""The decoder's colours: profiles, other spaces than RGB, numbers that do not say what is white."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from difflab.core.base.store.decoder import UnreadableImage, decode_image
from fakes import pictures

GREEN = (60, 180, 70)


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
    buffer = io.BytesIO(pictures.saved(Image.fromarray(values.view(f"<u{bits // 8}")), "TIFF", tiffinfo={339: 2}))
    with pytest.raises(UnreadableImage, match="signed integers do not say what is white"):
        decode_image(buffer.getvalue(), "a")


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
