"""Captions from the command line: one line for each picture, one clear line for everything else."""

import shutil
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from difflab.captioning.captioner_model.captioner_folder import bases_of, new_captioner, save_captioner
from difflab.cli.caption import caption, pictures
from difflab.core.base.errors import DifflabError
from difflab.core.params.common import RuntimeParams
from fakes import tiny_captioner as tiny
from fakes.set_archives import encoded, write_folder

RUNTIME = RuntimeParams(num_threads=1, processes=1, device="cpu", dtype="float32", compile=False, numerics="pinned")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Base models, a captioner, and a folder with three pictures and a note."""
    folder = tmp_path_factory.mktemp("work")
    zoo = tiny.save_roles(folder / "models" / "zoo")
    made = tiny.awakened(new_captioner(tiny.params(), 0, "cpu", torch.float32, zoo))
    save_captioner(folder / "models/captioner/original/seed-0", made, tiny.params(), bases_of(zoo))
    (folder / "photos").mkdir()
    for name, picture in zip(("c.PNG", "a.jpg", "b.webp"), tiny.images(3), strict=True):
        Image.fromarray(picture).resize((40, 30)).save(folder / "photos" / name)
    (folder / "photos" / "notes.txt").write_text("not a picture")
    return folder


def captions(work, *paths, beam=None):
    found = caption(paths, work / "models/captioner/original/seed-0", beam, RUNTIME, work / "models/zoo")
    return [(file.name, text) for file, text in found]


def test_each_picture_of_files_and_folders_has_a_caption_in_order(work):
    photos = work / "photos"
    of_folder = captions(work, str(photos))
    assert [name for name, _ in of_folder] == ["a.jpg", "b.webp", "c.PNG"]
    assert len({text for _, text in of_folder}) == 3
    again = captions(work, str(photos / "c.PNG"), str(photos / "a.jpg"))
    assert again == [of_folder[2], of_folder[0]]


def test_they_are_the_captions_of_the_model_with_its_own_or_the_given_beams(work):
    made = tiny.awakened(new_captioner(tiny.params(), 0, "cpu", torch.float32, work / "models/zoo"))
    image = Image.open(work / "photos" / "a.jpg")
    for beam, settings in ((None, tiny.decoding()), (4, tiny.decoding(num_beams=4))):
        ((_, text),) = captions(work, str(work / "photos" / "a.jpg"), beam=beam)
        assert text == made.captions_of([image], settings)[0]


def test_a_photograph_is_seen_as_its_camera_was_held(work, tmp_path):
    picture = Image.open(work / "photos" / "c.PNG").convert("RGB")
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.png"
    picture.save(upright)
    exif = picture.getexif()
    exif[0x0112] = 6  # shown by a quarter turn clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    (_, first), (_, second) = captions(work, str(upright), str(turned))
    assert first == second


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("photos/notes.txt", r"unreadable: .*notes\.txt \(of no known image format\)"),
        ("photos/nothing.png", "does not exist: give picture files or folders"),
        ("models/zoo", "holds no picture: give a folder with PNG"),
    ],
)
def test_what_is_no_picture_is_one_line_before_a_model_is_loaded(work, tmp_path, path, message):
    with pytest.raises(DifflabError, match=message):
        list(caption([str(work / path)], tmp_path / "no model", None, RUNTIME))


def test_an_address_is_refused():
    with pytest.raises(DifflabError, match=r"https://x\.org/a\.png is a URL: download the picture"):
        pictures(["https://x.org/a.png"])


@pytest.mark.parametrize("name", ["a.jpg", "b.webp", "c.PNG"])
def test_a_picture_that_ends_too_early_is_one_line(work, tmp_path, name):
    whole = (work / "photos" / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) - 30])
    with pytest.raises(DifflabError, match=r"^unreadable: "):
        captions(work, str(tmp_path / name))


def test_an_absent_model_names_the_stage_that_makes_it(work, tmp_path):
    with pytest.raises(DifflabError, match="holds no captioner: run `dvc repro captioner`"):
        list(caption([str(work / "photos")], tmp_path, None, RUNTIME, work / "models/zoo"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captioner.json", "{}"),
        ("captioner.json", "[]"),
        ("captioner.json", "\xff"),
        ("projector.safetensors", None),
        ("adapter_model.safetensors", "none"),
    ],
)
def test_a_damaged_model_is_one_line(work, tmp_path, name, content):
    folder = shutil.copytree(work / "models/captioner/original/seed-0", tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content, encoding="latin-1")
    with pytest.raises(DifflabError, match=r"model is damaged \(|^unreadable: .*captioner\.json"):
        list(caption([str(work / "photos")], folder, None, RUNTIME, work / "models/zoo"))


def test_the_command_prints_a_line_for_each_picture(work, root, monkeypatch):
    from difflab.cli.main import cli

    monkeypatch.chdir(work)
    for name in ("dvc.yaml", "conf", "params.yaml"):
        if not (work / name).exists():
            (work / name).symlink_to(root / name)
    expected = captions(work, str(work / "photos"))
    result = CliRunner().invoke(cli, ["caption", "photos"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"photos/{name}: {text}" for name, text in expected]
    assert CliRunner().invoke(cli, ["caption", "photos", "--beam", "0"]).exit_code == 2
    assert CliRunner().invoke(cli, ["caption"]).exit_code == 2


def test_nothing_heavy_is_imported_before_it_is_needed():
    script = "import sys, difflab.cli.caption; print([m for m in ('torch', 'peft', 'PIL') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_a_folder_is_read_at_any_depth_and_what_is_no_picture_is_named(tmp_path, capsys):
    junk = {"._a.jpg": b"\0\5\x16\7", ".hidden.png": b"", "recipe.pdf": b"%PDF-1.4\n%%EOF", "clip.mpg": bytes(200)}
    picture = encoded(40, 40, form="JPEG")
    write_folder(tmp_path, junk | {"a.jpg": picture, "deep/er/B.JPEG": picture, "cafe\u0301.jpg": picture})
    found = [path.relative_to(tmp_path).as_posix() for path in pictures([str(tmp_path)])]
    assert found == ["a.jpg", "cafe\u0301.jpg", "deep/er/B.JPEG"]
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path.name}: passed over 2 (hidden or the system's own): ._a.jpg, .hidden.png",
        f"{tmp_path.name}: passed over 2 (no picture): clip.mpg, recipe.pdf",
    ]
