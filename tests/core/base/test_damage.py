"""What an interrupted run left stays where it can be read, and goes, with a line, where it cannot."""

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from difflab.core.base.damage import remove_damaged
from difflab.core.base.files import write_json, write_parquet, write_zip

KINDS = {
    "a.json": lambda path: write_json(path, {"a": 1}),
    "a.parquet": lambda path: write_parquet(path, pd.DataFrame({"a": [1]})),
    "a.safetensors": lambda path: save_file({"a": torch.ones(2)}, path),
    "a.zip": lambda path: write_zip(path, [("a.txt", b"text" * 20)]),
    "a.npz": lambda path: write_zip(path, [("a.npy", b"text" * 20)]),
}


@pytest.fixture(params=KINDS)
def whole(tmp_path, request):
    """A file of each kind in a folder of its own."""
    path = tmp_path / "kept" / "inner" / request.param
    path.parent.mkdir(parents=True)
    KINDS[request.param](path)
    return path


def spoil(path):
    content = bytearray(path.read_bytes())
    content[: len(content) // 2] = b"\xff" * (len(content) // 2)
    path.write_bytes(content)


def test_what_is_whole_stays_without_a_word(whole, tmp_path, capsys):
    remove_damaged(whole, "made again")
    remove_damaged(tmp_path / "kept", "made again")
    assert whole.exists()
    assert capsys.readouterr().out == ""


def test_a_damaged_file_goes_with_one_line_that_says_what_follows(whole, capsys):
    other = whole.with_name("other.json")
    write_json(other, {})
    spoil(whole)
    remove_damaged(whole, "this chunk is made again")
    assert not whole.exists()
    assert other.exists()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"unreadable: {whole}")
    assert line.endswith(": this chunk is made again")


def test_a_folder_with_one_damaged_file_goes_as_a_whole(whole, tmp_path, capsys):
    write_json(whole.with_name("other.json"), {})
    spoil(whole)
    remove_damaged(tmp_path / "kept", "seed-0 is trained again")
    assert not (tmp_path / "kept").exists()
    (line,) = capsys.readouterr().out.splitlines()
    assert str(whole) in line
    assert line.endswith(": seed-0 is trained again")


def test_a_zip_whose_end_is_whole_is_read_to_the_last_byte(tmp_path, capsys):
    path = tmp_path / "a.zip"
    write_zip(path, [("a.txt", b"text" * 20)])
    path.write_bytes(path.read_bytes().replace(b"texttext", b"textText", 1))
    remove_damaged(path, "made again")
    assert not path.exists()
    assert "unreadable" in capsys.readouterr().out


def test_other_files_are_none_of_its_business(tmp_path, capsys):
    (tmp_path / "log.txt").write_bytes(b"\xff\xfe\x00")
    remove_damaged(tmp_path, "made again")
    assert (tmp_path / "log.txt").exists()
    assert capsys.readouterr().out == ""


def test_what_another_process_removes_meanwhile_is_gone_too(tmp_path):
    (tmp_path / "a.json").symlink_to(tmp_path / "absent")
    write_json(tmp_path / "b.json", {})
    remove_damaged(tmp_path / "absent.json", "made again")
    remove_damaged(tmp_path / "a.json", "made again")
    assert (tmp_path / "b.json").exists()
