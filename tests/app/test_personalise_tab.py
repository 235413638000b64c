"""The tab Personalise in a real browser."""

import contextlib
import io

import numpy as np
import psutil
import pytest
from PIL import Image

from difflab.core.base import rng
from difflab.models.adapters.reading import read_adapter

pytestmark = pytest.mark.long  # minutes, of browsers and trainings


def png(seed, side=24):
    pixels = rng.numpy_rng(seed, "upload").integers(0, 256, (side, side, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def file(name, content):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def drop(page, *files):
    page.locator("input[type=file]").set_input_files(list(files))


def pictures(page):
    return page.locator(".pictures img")


def folder_of(page, project):
    return project / ".scratch/app" / page.evaluate("sessionStorage.getItem('difflab-session')")


def ask(page, steps):
    page.get_by_label("Class word").fill("dog")
    page.get_by_label("Steps").fill(str(steps))
    page.get_by_role("button", name="Train").click()


def members(job):
    """The living processes of a job: those that work in its folder, or were started for it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            places = [process.cwd(), *process.cmdline()]
            if process.status() != psutil.STATUS_ZOMBIE and any(job.name in p and job.parent.name in p for p in places):
                found.append(process)
    return found


def status(page, text):
    page.locator(".status", has_text=text).wait_for(timeout=600_000)  # trainings take minutes where others work as well


def test_nine_pictures_in_an_adapter_and_four_samples_out(visit, project):
    page, other = visit(), visit()
    drop(page, *(file(f"IMG {n}.PNG", png(n)) for n in range(9)))
    pictures(page).nth(8).wait_for()
    ask(page, steps=3)
    status(page, "Done")
    for row in ("base", "personalised"):
        page.locator(f".made-{row} img").nth(3).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "sks-dog-lora.safetensors"
    adapter = project / "downloaded.safetensors"
    download.value.save_as(adapter)
    assert read_adapter(adapter).denoiser == "unet"

    folder = folder_of(page, project)
    assert (folder / "job/workspace/.git/refs/exps").is_dir()  # an experiment of DVC, in a repository of its own
    uploaded = {picture.read_bytes() for picture in (folder / "pictures/subject").iterdir()}
    cached = {path.read_bytes() for path in project.rglob("*") if ".dvc" in path.parts and path.is_file()}
    assert len(uploaded) == 9
    assert not uploaded & cached

    assert pictures(other).count() == 0  # another visitor sees nothing of it, and nor does anybody afterwards
    assert folder_of(other, project) != folder
    page.get_by_role("button", name="Delete everything").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.locator(".pictures img").first.wait_for(state="detached")
    assert not folder.exists()


def test_a_training_outlives_its_server_and_is_cancelled(visit, project, server):
    page = visit()
    drop(page, *(file(f"{n}.png", png(n)) for n in range(3)))
    pictures(page).nth(2).wait_for()
    ask(page, steps=5000)
    status(page, "Reading the pictures")
    server.kill()
    server.start()
    page.reload()
    status(page, "of 5000, about")
    assert pictures(page).count() == 3
    job = folder_of(page, project) / "job"
    assert members(job)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Train").wait_for()
    assert not members(job)
    assert not job.exists()
    assert pictures(page).count() == 3


def test_what_is_no_picture_is_refused_in_one_line(visit):
    page = visit()
    huge = io.BytesIO()
    Image.new("1", (20_000, 15_000)).save(huge, "PNG")
    drop(
        page,
        file("setup.png", b"MZ" + bytes(200)),
        file("300 megapixels.png", huge.getvalue()),
        file("pictures.zip", b"PK\3\4" + bytes(200)),
        file("../../params.png", png(0)),
        file("good.png", png(1)),
    )
    pictures(page).first.wait_for()
    page.locator(".refused > *").nth(3).wait_for()
    assert sorted(page.locator(".refused > *").all_inner_texts()) == [
        "'../../params.png' names a path: upload a picture under its plain name",
        "'pictures.zip' is no picture by its name: take .jpg, .jpeg, .png, .webp and the like",
        "unreadable: 300 megapixels.png (it has more than 100 megapixels)",
        "unreadable: setup.png (of no known image format)",
    ]
    assert pictures(page).count() == 1
    page.get_by_role("button", name="Train").click()
    page.get_by_text("1 picture is too few: add some, five to ten are usual").wait_for()
    drop(page, *(file(f"{n}.png", png(n)) for n in range(200)))
    page.locator(".refused", has_text="180 more pictures are not taken: 20 are enough").wait_for()
    pictures(page).nth(19).wait_for()


def test_a_training_that_was_ended_by_force_goes_on_from_its_last_state(visit, project):
    page = visit()
    drop(page, *(file(f"{n}.png", png(n)) for n in range(3)))
    pictures(page).nth(2).wait_for()
    ask(page, steps=500)  # its state is saved every 100
    job = folder_of(page, project) / "job"
    page.wait_for_function("/Step (1[1-9].|[2-4]..) of 500/.test(document.querySelector('.status').innerText)")
    for process in members(job):
        process.kill()
    status(page, "was ended from outside")
    page.get_by_role("button", name="Go on").click()
    status(page, "Done")
    assert "resuming from step" in (job / "log.txt").read_text()
    page.locator(".made-personalised img").nth(3).wait_for()
