"""The perceptual hash is that of imagehash; groups of near pictures are the transitive closure."""

import io
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from difflab.images.preparing.image_hashes import ImageHashes, components, correlated, image_hashes, near_groups
from difflab.miniature.data.bundled import hq_images
from difflab.miniature.data.sources import photos
from fakes.set_archives import pixels

# str(imagehash.phash(photograph)), imagehash 4.3.2
GOLDEN = {
    "Astronaut": "c2924c5532bddfc8",
    "Bricks": "a2898b1566fd46f1",
    "Cat": "b15fe6465121175e",
    "Coffee": "bb8320376c0f3637",
    "Coins": "e4d5b5a92b54523a",
    "Flower": "9b64386633cdc96c",
    "Galaxies": "84cc4b96ba4d333e",
    "Motorcycle": "c507c66b9370aa73",
    "Retina": "c0cc1f977ac02d4f",
    "Rocket": "c0371bec1be51267",
    "Temple": "9db8c2c7445dbb24",
    "Tissue": "af3225e7c9691686",
}
DEFAULT = (8, 0.96)  # of conf/study/mix.yaml


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue()))


def scaled(image: Image.Image, by: float) -> Image.Image:
    return image.resize([round(side * by) for side in image.size], Image.Resampling.BICUBIC)


def brighter(image: Image.Image, by: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(by)


SAME = {
    "again": lambda image: image.copy(),
    "jpeg 90": lambda image: jpeg(image, 90),
    "jpeg 50": lambda image: jpeg(image, 50),
    "half size": lambda image: scaled(image, 0.5),
    "a tenth larger": lambda image: scaled(image, 1.1),
    "brighter": lambda image: brighter(image, 1.1),
    "darker": lambda image: brighter(image, 0.8),
    "small and jpeg": lambda image: jpeg(scaled(image, 0.4), 75),
}


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    return [Image.fromarray(photo) for photo in photos().values()]


def test_hashes_are_those_of_imagehash(photographs):
    found = image_hashes(photographs).hashes
    assert dict(zip(photos(), (f"{value:016x}" for value in found.tolist()), strict=True)) == GOLDEN


@pytest.mark.parametrize("change", SAME)
def test_a_photograph_that_was_changed_a_little_is_near_its_original_and_no_other(photographs, change):
    changed = [SAME[change](photograph) for photograph in photographs]
    groups = near_groups(image_hashes(photographs + changed), *DEFAULT)
    assert groups.tolist() == [*range(len(photographs))] * 2


def test_digits_over_the_same_photograph_are_not_near():
    """The miniature: 1,500 pictures of different digits over 12 photographs, none merged, every copy found."""
    pictures = [Image.fromarray(picture.image) for picture in hq_images(0)]
    copies = [jpeg(brighter(picture, 1.1), 75) for picture in pictures[::50]]
    groups = near_groups(image_hashes(pictures + copies), *DEFAULT)
    assert groups.tolist() == [*range(1500), *range(0, 1500, 50)]


def flat(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The same colours for all, and that none is blank."""
    return np.tile(pixels(1, 8, 8, 3), (count, 1, 1, 1)), np.zeros(count, bool)


def first_of_each(graph: nx.Graph) -> list[int]:
    first = {row: min(group) for group in nx.connected_components(graph) for row in group}
    return [first[row] for row in range(len(graph))]


def oracle(hashes: list[int], distance: int) -> list[int]:
    graph = nx.Graph()
    graph.add_nodes_from(range(len(hashes)))
    pairs = ((i, j) for i in range(len(hashes)) for j in range(i))
    graph.add_edges_from((i, j) for i, j in pairs if (hashes[i] ^ hashes[j]).bit_count() <= distance)
    return first_of_each(graph)


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=9)), max_size=80), st.integers(0, 12))
def test_groups_are_the_transitive_closure_of_nearness(changed, distance):
    bases = [0, 2**64 - 1, 0x00FF00FF00FF00FF, 0xF0]
    hashes = [bases[base] ^ sum(1 << bit for bit in bits) for base, bits in changed]
    found = ImageHashes(np.array(hashes, np.uint64), *flat(len(hashes)))
    assert near_groups(found, distance, 0.96).tolist() == oracle(hashes, distance)


def test_a_chain_that_is_longer_than_a_block_is_one_group():
    """Neighbours differ in one bit, ends in all of them; the last picture is alone."""
    series = [(1 << bits) - 1 for bits in range(65)]
    hashes = [*series[::2], *series[1::2][::-1], *series, 0x5555555555555555]
    found = ImageHashes(np.array(hashes, np.uint64), *flat(len(hashes)))
    assert near_groups(found, 1, 0.96).tolist() == [0] * 130 + [130] == oracle(hashes, 1)


def test_hashes_propose_and_colours_decide():
    colours = np.stack([pixels(8, 8, 3, seed=seed) for seed in range(12)])
    colours[6:] = np.clip(colours[:6] * 0.9 + pixels(6, 8, 8, 3, seed=99) * 0.2, 0, 255)
    correlation = np.corrcoef(colours.reshape(12, -1).astype(float))
    assert 0.9 < correlation[0, 6] < 1
    alike = ImageHashes(np.zeros(12, np.uint64), colours, np.zeros(12, bool))
    for least in (0.1, 0.9, correlation[0, 6] - 1e-4, correlation[0, 6] + 1e-4):
        assert near_groups(alike, 0, least).tolist() == first_of_each(nx.Graph(correlation >= least))
    apart = alike._replace(hashes=np.uint64(1) << np.arange(12, dtype=np.uint64))
    assert near_groups(apart, 1, 0.1).tolist() == list(range(12))


def correlates(a: np.ndarray, b: np.ndarray, least: float) -> bool:
    """Pearson's correlation against `least` in rational numbers, both squared."""
    a, b = (x.ravel().tolist() for x in (a, b))

    def shared(x: list[int], y: list[int]) -> int:
        return len(x) * sum(v * w for v, w in zip(x, y, strict=True)) - sum(x) * sum(y)

    found = shared(a, b)
    return found > 0 and found**2 >= Fraction(least) ** 2 * shared(a, a) * shared(b, b)


@given(st.integers(0, 99), st.integers(1, 255), st.sampled_from([0.5, 0.9, 0.96, 0.995, 1.0]))
def test_correlations_are_compared_as_in_rational_numbers(seed, strength, least):
    base, noise = (pixels(5, 8, 8, 3, seed=seed + n).astype(int) for n in (0, 1000))
    drawn = np.clip(base[:1] + (noise - 128) * strength // 2550, 0, 255).astype(np.uint8)
    expected = [[correlates(a.astype(int), b.astype(int), least) for b in drawn] for a in drawn]
    assert correlated(drawn, drawn, least).tolist() == expected


def test_the_correlation_of_equal_pictures_is_1_and_one_level_less_is_below():
    """Where float32 is not enough: the least of all changes, of pictures as bright as can be."""
    extreme = np.where(pixels(4, 8, 8, 3) > 127, 255, 0).astype(np.uint8)
    changed = extreme.copy()
    changed[:, 0, 0, 0] ^= 1
    assert np.diagonal(correlated(extreme, extreme, 1.0)).all()
    assert not np.diagonal(correlated(extreme, changed, 1.0)).any()


def test_digits_over_the_same_photograph_correlate_as_on_every_processor():
    """Golden: pairs of the first 300 pictures of the miniature above each threshold."""
    colours = image_hashes(Image.fromarray(picture.image) for picture in hq_images(0)[:300]).colours
    counts = {least: int(correlated(colours, colours, least).sum()) for least in (0.5, 0.9, 0.96, 1.0)}
    assert counts == {0.5: 15216, 0.9: 306, 0.96: 300, 1.0: 300}


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_those_of_networkx(drawn):
    n, pairs = drawn
    graph = nx.Graph(pairs)
    graph.add_nodes_from(range(n))
    assert components(n, np.array(pairs, np.int64).reshape(-1, 2)).tolist() == first_of_each(graph)


def test_pictures_of_one_colour_are_blank_and_a_single_dot_is_not():
    black, red = Image.new("RGB", (20, 30)), Image.new("RGB", (64, 64), "red")
    dotted = black.copy()
    dotted.putpixel((3, 4), (0, 0, 200))
    assert image_hashes([black, jpeg(red, 75), Image.new("L", (8, 8), 9), dotted]).blank.tolist() == [True] * 3 + [
        False
    ]


def test_blank_pictures_are_near_to_none():
    black = [Image.new("RGB", (16, 16))] * 3
    assert near_groups(image_hashes(black), 64, 0.1).tolist() == [0, 1, 2]


def test_a_picture_s_print_does_not_depend_on_the_others(photographs):
    together = image_hashes(photographs)
    for number, photograph in enumerate(photographs[:3]):
        for alone, part in zip(image_hashes([photograph]), together.take([number]), strict=True):
            assert np.array_equal(alone, part)


def test_no_pictures_have_no_groups():
    assert near_groups(image_hashes([]), *DEFAULT).tolist() == []
