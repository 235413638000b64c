"""Errors of libraries that a person can act on become one line; others keep their traceback."""

import errno
import json

import pytest
import yaml
from safetensors import safe_open

from difflab.core.base.errors import DifflabError, one_line


def raised(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return error
    pytest.fail("no error")


def test_damaged_files_name_the_two_commands_that_help(tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "file"
    path.write_bytes(b"\x01" * 100)
    for error in (raised(safe_open, path, "pt"), raised(pq.read_table, path), raised(json.loads, "{")):
        line = one_line(error)
        assert line.startswith("a file is damaged (")
        assert "`dvc status` names it, `dvc checkout` puts it back" in line
        assert "\n" not in line


@pytest.mark.parametrize("damage", ["weights", "config", "gone"])
def test_damaged_model_files_name_the_file_and_the_command_that_helps(tmp_path, damage):
    from diffusers.models import AutoencoderKL

    AutoencoderKL(block_out_channels=(8,), norm_num_groups=4).save_pretrained(tmp_path)
    file = tmp_path / ("diffusion_pytorch_model.safetensors" if damage == "weights" else "config.json")
    file.write_bytes(file.read_bytes()[:50])
    if damage == "gone":
        file.unlink()
    line = one_line(raised(AutoencoderKL.from_pretrained, tmp_path))
    assert str(tmp_path) in line
    assert line.endswith("`dvc checkout` puts it back") or line.endswith("`dvc checkout` puts its files back")
    assert "\n" not in line


def test_broken_yaml_says_where():
    assert "line 1" in one_line(raised(yaml.safe_load, "a: [1"))


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.ENOSPC, "the disk is full"), (errno.EFBIG, "larger than allowed"), (errno.EDQUOT, "quota")],
)
def test_no_room_names_the_file(number, text):
    line = one_line(OSError(number, "no", "models/x"))
    assert text in line
    assert "(models/x): free some space" in line


@pytest.mark.parametrize(
    ("call", "place", "text"),
    [
        (lambda folder: (folder / "gone").read_text(), "gone", "is missing: `dvc status`"),
        (lambda folder: folder.read_text(), "", "is a folder where a file is needed"),
        (lambda folder: (folder / "file" / "x").write_text(""), "file/x", "lies in a file where a folder is needed"),
        (lambda folder: (folder / "file").mkdir(), "file", "is a file where a folder is needed"),
    ],
)
def test_a_path_that_cannot_be_used_is_named_with_what_to_do(tmp_path, call, place, text):
    (tmp_path / "file").touch()
    line = one_line(raised(call, tmp_path))
    assert line.startswith(f"{tmp_path / place} {text}")
    assert "\n" not in line


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_what_may_not_be_touched_is_named(number):
    assert one_line(OSError(number, "no", "models/x")).startswith("models/x ")


def test_ours_are_as_they_are_and_unforeseen_ones_stay():
    assert one_line(DifflabError("say so")) == "say so"
    assert one_line(ValueError("a bug")) is None
    assert one_line(OSError(errno.EPERM, "no")) is None
