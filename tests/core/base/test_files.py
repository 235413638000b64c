"""Files are whole or absent, and the same bytes every time."""

import errno
import json
import os
import shutil
import subprocess
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file

from difflab.core.base import files
from difflab.core.base.errors import DifflabError, one_line


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(target, error):
    with files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


def test_a_file_appears_only_when_its_block_succeeds(tmp_path):
    with files.atomic_path(tmp_path / "sub" / "a.csv") as temporary:
        temporary.write_text("x")
        assert not (tmp_path / "sub" / "a.csv").exists()
        assert temporary.suffix == ".csv"
    assert (tmp_path / "sub" / "a.csv").read_text() == "x"
    assert names(tmp_path / "sub") == ["a.csv"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interrupted_write_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error):
        write_half(target, error())
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path):
    with pytest.raises(DifflabError, match=r"disk is full while writing .*a\.txt: free some space"):
        write_half(tmp_path / "a.txt", OSError(errno.ENOSPC, "No space left on device"))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            "the disk is full",
        ),
        (SafetensorError("I/O error: Disk quota exceeded (os error 122)"), "the disk quota is used up"),
        (OSError(errno.EFBIG, "File too large"), "a file is larger than allowed here"),
    ],
)
def test_a_lack_of_space_is_told_whoever_notices_it(tmp_path, error, words):
    with pytest.raises(DifflabError, match=rf"^{words}.* while writing .*a\.txt: free some space, then run again$"):
        write_half(tmp_path / "a.txt", error)
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [OSError("4096 requested and 0 written"), RuntimeError("file write failed")])
def test_a_full_disk_that_a_library_does_not_name_is_looked_for(tmp_path, monkeypatch, error):
    with pytest.raises(type(error)):
        write_half(tmp_path / "a.txt", error)
    usage = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DifflabError, match=r"the disk is full while writing .*a\.txt"):
        write_half(tmp_path / "a.txt", error)


def test_a_folder_that_may_not_be_written_into_is_named_and_no_temporary_name(tmp_path, monkeypatch):
    def refused(*_, **options):
        raise PermissionError(errno.EACCES, "Permission denied", f"{options['dir']}/.a.txt.1-x")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    with pytest.raises(PermissionError) as caught:
        files.write_text(tmp_path / "a.txt", "x")
    assert one_line(caught.value).startswith(f"{tmp_path} may not be read or written")


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for content in ({"a": "1", "b": "2"}, {"b": "3"}):
        with files.atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            for name, text in content.items():
                (temporary / name).write_text(text)
    assert names(tmp_path / "folder") == ["b"]
    assert (tmp_path / "folder" / "b").read_text() == "3"


def test_writing_does_not_reach_through_a_hard_link(tmp_path):
    """DVC may hard-link an output to its cache: a rewrite must not change the cache's copy."""
    files.write_text(tmp_path / "out", "first")
    os.link(tmp_path / "out", tmp_path / "cache")
    files.write_text(tmp_path / "out", "second")
    assert (tmp_path / "cache").read_text() == "first"


def test_json_keeps_order_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1.5, "a": "é"})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": 1.5,\n  "a": "é"\n}\n'
    assert files.read_json(tmp_path / "a.json") == {"b": 1.5, "a": "é"}
    with pytest.raises(DifflabError, match="a is nan"):
        files.write_json(tmp_path / "b.json", {"a": float("nan")})
    assert names(tmp_path) == ["a.json"]


@given(
    st.lists(
        st.tuples(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), st.booleans()), max_size=20
    )
)
def test_parquet_comes_back_and_is_the_same_bytes(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("parquet")
    frame = pd.DataFrame(rows, columns=["id", "value", "flag"])
    frame = frame.astype({"id": "string", "value": float, "flag": bool})
    for name in ("a.parquet", "b.parquet"):
        files.write_parquet(folder / name, frame)
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()
    back = pd.read_parquet(folder / "a.parquet")
    assert json.loads(back.to_json(orient="values")) == json.loads(frame.to_json(orient="values"))


def test_a_damaged_page_of_parquet_is_noticed(tmp_path):
    path = tmp_path / "a.parquet"
    files.write_parquet(path, pd.DataFrame({"caption": [f"a digit {n}" for n in range(1000)]}))
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DifflabError, match=r"^unreadable: .*checksum.*`dvc checkout .*` restores it"):
        files.read_parquet(path)


def test_files_have_the_mode_that_the_umask_allows(tmp_path):
    """safetensors writes for the owner alone."""
    before = os.umask(0o022)
    try:
        with files.atomic_path(tmp_path / "model") as temporary:
            temporary.mkdir()
            (temporary / "weights").touch(mode=0o600)
    finally:
        os.umask(before)
    assert (tmp_path / "model" / "weights").stat().st_mode & 0o777 == 0o644


def test_zip_is_the_same_bytes_and_readable_by_others(tmp_path):
    entries = [("b.png", b"2"), ("a.png", b"1")]
    for name in ("x.zip", "y.zip"):
        files.write_zip(tmp_path / name, entries)
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "y.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert [(i.filename, archive.read(i)) for i in archive.infolist()] == entries


def test_png_is_lossless_and_the_same_bytes(tmp_path):
    image = Image.effect_noise((9, 7), 50).convert("RGB")
    content = files.png_bytes(image)
    assert content == files.png_bytes(image)
    (tmp_path / "a.png").write_bytes(content)
    assert Image.open(tmp_path / "a.png").tobytes() == image.tobytes()


def test_sha256_of_files_is_the_usual_one(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_file(tmp_path / "a") == files.sha256_bytes(b"abc") == expected


def test_the_hash_of_a_folder_sees_names_and_contents_but_no_bytecode(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1")
    before = files.sha256_file(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert files.sha256_file(tmp_path) == before
    (tmp_path / "sub" / "a").rename(tmp_path / "sub" / "b")
    renamed = files.sha256_file(tmp_path)
    (tmp_path / "sub" / "b").write_text("2")
    assert len({before, renamed, files.sha256_file(tmp_path)}) == 3


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    with subprocess.Popen(["true"]) as ended:
        dead = ended.pid
    others = [f".data.json.parquet.{dead}-abcd1234", f".data.json.{os.getpid()}-abcd1234", "kept"]
    for name in (f".data.json.{dead}-abcd1234", *others):
        (tmp_path / name).mkdir()
    files.write_json(tmp_path / "data.json", {})
    assert names(tmp_path) == sorted([*others, "data.json"])


def test_two_live_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    with files.atomic_path(tmp_path / "a") as first:
        first.write_text("first")
        files.write_text(tmp_path / "a", "second")
        assert first.read_text() == "first"
    assert (tmp_path / "a").read_text() == "first"
    assert names(tmp_path) == ["a"]


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    """Else a power failure leaves a whole name on an empty file."""
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append(os.fstat(number).st_ino), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("renamed"), replace(*paths)))
    with files.atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        for name in "ab":
            (temporary / name).write_text(name)
    written = {(tmp_path / "folder" / name).stat().st_ino for name in "ab"}
    assert (set(done[:2]), done[2:]) == (written, ["renamed"])


@pytest.mark.parametrize(("folder", "remedy"), [("metrics", "restores it"), (".scratch", "delete it")])
def test_damaged_json_is_named_with_its_remedy(tmp_path, folder, remedy):
    path = tmp_path / folder / "a.json"
    for content in (b'{"a": ', b"\xff\xfe"):
        files.write_bytes(path, content)
        with pytest.raises(DifflabError, match=rf"^unreadable: .*a\.json \(.*\): .*{remedy}"):
            files.read_json(path)


NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    "wrap", [lambda v: {"a": 1, "loss": v}, lambda v: {"loss": [0.5, {"b": v}]}, lambda v: {"loss": (v,)}]
)
def test_json_never_holds_a_number_that_is_not_finite(tmp_path, value, wrap):
    with pytest.raises(DifflabError, match=rf"m\.json is not written: loss.* is {value}, which is no result"):
        files.write_json(tmp_path / "m.json", {"a": 1, "loss": wrap(value)})
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "-1e400"])
def test_json_with_a_number_that_is_not_finite_is_unreadable(tmp_path, number):
    (tmp_path / "a.json").write_text(f'{{"loss": [{number}]}}')
    with pytest.raises(DifflabError, match=rf"^unreadable: .*a\.json \({number} is no number of JSON\)"):
        files.read_json(tmp_path / "a.json")


def test_a_name_that_is_no_text_is_no_traceback(tmp_path):
    for write in (files.write_text, files.write_json):
        with pytest.raises(DifflabError, match=r"a is not written: .*F\\udce9rias.* is no text: rename"):
            write(tmp_path / "a", "F\udce9rias")
    assert names(tmp_path) == []


def test_what_stands_for_a_file_that_was_not_fetched_is_named(tmp_path):
    (tmp_path / "a.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(
        DifflabError, match=r"\(a\.safetensors is a pointer of Git LFS: `git lfs pull` fetches the file\)"
    ):
        files.read_tensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("write", [files.write_csv, files.write_parquet])
@given(st.sampled_from(NOT_FINITE), st.sampled_from(["float32", "float64", "object"]), st.booleans())
def test_a_table_holds_gaps_only_where_they_are_named_and_never_infinity(tmp_path_factory, write, value, dtype, named):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    frame = pd.DataFrame({"id": ["a", "b"], "loss": pd.Series([0.5, value], dtype=dtype)})
    gaps = ["loss"] if named else []
    if named and np.isnan(value):
        write(path, frame, gaps=gaps)
        assert path.exists()
        return
    with pytest.raises(DifflabError, match=r"1 of its 2 rows have .* as loss"):
        write(path, frame, gaps=gaps)
    assert names(path.parent) == []


def test_numbers_of_numpy_among_objects_are_looked_at_too(tmp_path):
    with pytest.raises(DifflabError, match=r"1 of its 2 rows have inf as loss"):
        files.write_csv(
            tmp_path / "t.csv", pd.DataFrame({"loss": pd.Series([None, np.float32("inf")], dtype="object")})
        )


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("inside", [None, "transformer"])
def test_weights_that_are_not_finite_get_no_final_name(tmp_path, value, dtype, inside):
    tensors = {"good": torch.zeros(3), "step": torch.tensor([3]), "bad": torch.tensor([1.0, value], dtype=dtype)}
    with pytest.raises(DifflabError, match="1 of the 2 numbers of 'bad' are NaN or infinite"):
        write_weights(tmp_path / ("model" if inside else "model.safetensors"), tensors, inside)
    assert names(tmp_path) == []


def write_weights(path, tensors, inside):
    with files.atomic_path(path) as temporary:
        if inside:
            (temporary / inside).mkdir(parents=True)
        save_file(tensors, temporary / inside / "w.safetensors" if inside else temporary)


def test_a_file_does_not_replace_a_folder_of_its_name(tmp_path):
    (tmp_path / "picture.png").mkdir()
    (tmp_path / "picture.png" / "thesis.txt").write_text("mine")
    with pytest.raises(OSError, match="Is a directory") as told:
        files.write_text(tmp_path / "picture.png", "pixels")
    assert one_line(told.value).endswith("picture.png is a folder where a file is needed: move it away, then run again")
    assert (tmp_path / "picture.png" / "thesis.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_an_error_of_the_last_step_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    def mounted(source, target):
        raise OSError(errno.EBUSY, "Device or resource busy", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", mounted)
    with pytest.raises(OSError, match="busy") as told:
        files.write_text(tmp_path / "a", "")
    assert (
        one_line(told.value) == f"{tmp_path / 'a'} is mounted as a file of its own, which cannot be replaced: "
        "unmount it, then run again"
    )
