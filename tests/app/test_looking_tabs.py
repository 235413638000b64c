"""The tabs Generate, Attention, Clusters and Blocks in a real browser."""

import shlex
import time

import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import load_file

from difflab.cli.main import cli

pytestmark = pytest.mark.long  # minutes, of browsers and trainings
PROMPT = "three over a cat"


@pytest.fixture
def page(visit):
    return visit()


def tab(page, name):
    page.get_by_role("tab", name=name).click()
    page.get_by_role("tab", name=name, selected=True).wait_for()
    page.wait_for_timeout(400)  # the panels slide


def ask(page, prompt=PROMPT, steps=2):
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Steps", exact=True).fill(str(steps))


def make(page, prompt=PROMPT, steps=2):
    ask(page, prompt, steps)
    page.get_by_role("button", name="Make").click()


def saved(page, button, path):
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    download.value.save_as(path)
    return path


def changed(picture, before):
    """The address of a picture when it is another one than before."""
    for _ in range(600):
        if (now := picture.get_attribute("src")) not in (None, before):
            return now
        picture.page.wait_for_timeout(100)
    raise AssertionError("the picture stays as it was")


def command(page):
    page.get_by_role("button", name="Command line").click()
    code = page.locator(".nicegui-code pre", has_text="difflab")
    code.wait_for()
    return shlex.split(code.inner_text())


def run(words, out):
    assert words[0] == "difflab"
    words[words.index("--out") + 1] = str(out)
    assert CliRunner().invoke(cli, words[1:]).exit_code == 0


def test_generate_and_its_command(page, inside, tmp_path):
    tab(page, "Generate")
    make(page)
    page.locator(".generated img").nth(1).wait_for()
    sheet = saved(page, "PNG", tmp_path / "page.png")
    run(command(page), tmp_path / "command.png")
    assert sheet.read_bytes() == (tmp_path / "command.png").read_bytes()
    pictures = load_file(saved(page, "safetensors", tmp_path / "page.safetensors"))
    assert set(pictures) == {"base", "blip2-zero-seed-0"}
    page.get_by_label("Prompt", exact=True).fill(" ")
    page.get_by_role("button", name="Make").click()
    page.get_by_text("a prompt is empty: describe the picture").wait_for()


def test_attention_of_a_word_and_of_a_patch(page, inside, tmp_path):
    tab(page, "Attention")
    make(page)
    word = page.locator(".word", has_text="cat").first
    word.wait_for()
    picture = page.locator(".looked-at img").first
    plain = changed(picture, None)
    started = time.monotonic()
    word.click()
    page.get_by_text("attention of 'cat'").wait_for()
    print(f"a click took {time.monotonic() - started:.2f} s")
    heat = changed(picture, plain)
    page.locator(".difference img").wait_for()
    found = load_file(saved(page, "safetensors", tmp_path / "word.safetensors"))
    assert "difference/0/cat/heat" in found

    box = picture.bounding_box()
    picture.click(position={"x": 0.9 * box["width"], "y": 0.3 * box["height"]})
    page.get_by_text("attention of patch 1,3").wait_for()
    assert changed(picture, heat) != plain
    image = saved(page, "PNG", tmp_path / "page.png")
    run(command(page), tmp_path / "out")
    assert image.read_bytes() == (tmp_path / "out/attention.png").read_bytes()

    page.get_by_label("Block", exact=True).fill("9")
    page.get_by_text("block 9 was not captured: there are 0, 1").wait_for()
    page.get_by_label("Block", exact=True).fill("1")
    page.locator("button", has_text="Clear").click()
    page.get_by_text("Click a word or a patch").wait_for()
    page.wait_for_function("([picture, plain]) => picture.src === plain", arg=[picture.element_handle(), plain])


def test_clusters_of_the_pictures_of_attention(page, inside, tmp_path):
    tab(page, "Attention")
    make(page)
    page.locator(".word").first.wait_for()
    tab(page, "Clusters")
    page.locator("[class*=clusters-base-0] img").nth(1).wait_for()
    page.get_by_text("% of patches").first.wait_for()
    patches = page.locator("[class*=clusters-base-0] img").nth(1)
    before = changed(patches, None)
    page.get_by_label("Eigenvectors").fill("3")
    changed(patches, before)
    image = saved(page, "PNG", tmp_path / "page.png")
    run(command(page), tmp_path / "out")
    assert image.read_bytes() == (tmp_path / "out/clusters.png").read_bytes()


def test_blocks_and_the_drift_of_an_adapter(page, inside, tmp_path):
    tab(page, "Blocks")
    for figure in ("block_effects", "block_agreement", "block_tuning"):
        page.locator(f".{figure} img").wait_for()
    assert page.get_by_role("table").first.locator("tr").count() == 4  # a head and three blocks
    page.get_by_role("button", name="Show").click()
    page.locator(".drift-chart img").wait_for()
    page.get_by_role("button", name="PNG", exact=True).first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG", exact=True).nth(1).click()
    download.value.save_as(tmp_path / "drift.png")
    assert Image.open(tmp_path / "drift.png").width > 100


def test_two_visitors_see_their_own_pictures(visit):
    first, second = visit(), visit()
    for page, prompt in ((first, PROMPT), (second, "four over a cat")):
        tab(page, "Attention")
        make(page, prompt)
    first.locator(".word", has_text="cat").first.wait_for()
    second.locator(".word", has_text="four").first.click()
    second.get_by_text("attention of 'four'").wait_for()
    assert first.get_by_text("Click a word or a patch").is_visible()
    assert first.locator(".word", has_text="four").count() == 0


def test_what_waits_and_what_runs_can_be_cancelled(visit):
    first, second = visit(), visit()
    for page in (first, second):
        tab(page, "Generate")
    ask(second)
    make(first, steps=1000)
    second.get_by_role("button", name="Make").click()
    second.get_by_text("Waiting").wait_for()
    second.get_by_role("button", name="Cancel").click()
    second.get_by_text("Cancelled").wait_for()  # while the other goes on
    first.get_by_role("button", name="Cancel").click()
    first.get_by_text("Cancelled").wait_for()
    make(second)
    second.locator(".generated img").nth(1).wait_for()


def test_a_server_that_was_killed_in_the_middle_goes_on_with_what_was_asked_for(visit, server):
    page = visit()
    tab(page, "Generate")
    make(page, "a dog", steps=1000)
    page.get_by_text("of 2000").wait_for()
    server.kill()
    server.start()
    page.goto(server.address)
    tab(page, "Generate")
    page.wait_for_function("[...document.querySelectorAll('input')].some(field => field.value === 'a dog')")
    page.get_by_label("Steps", exact=True).fill("2")
    page.get_by_role("button", name="Make").click()
    page.locator(".generated img").nth(1).wait_for()
    assert page.locator(".generated img").count() == 2
