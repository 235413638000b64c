"""The captions table is canonical, and refuses what is not a table of captions."""

import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError
from difflab.core.base.store.captions import has_word, read_captions, write_captions


def table(*rows: tuple[str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["id", "variant", "caption"])
    return frame.assign(source_sha256="0" * 64)


def test_what_is_written_is_read(tmp_path):
    frame = table(("hq-00001", "blip2", "a cat"), ("hq-00002", "blip2", "a dog"))
    write_captions(tmp_path / "captions.parquet", frame)
    pd.testing.assert_frame_equal(read_captions(tmp_path / "captions.parquet"), frame)


def test_row_order_and_extra_columns_do_not_change_the_bytes(tmp_path):
    frame = table(("b", "blip2", "a cat"), ("a", "llama3", "a dog"), ("a", "blip2", "a hen"))
    write_captions(tmp_path / "one.parquet", frame)
    write_captions(tmp_path / "two.parquet", frame.iloc[::-1].assign(truncated=False))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def test_one_variant_is_read_by_id(tmp_path):
    write_captions(tmp_path / "c.parquet", table(("a", "blip2", "a cat"), ("a", "llama3", "A cat.")))
    assert read_captions(tmp_path / "c.parquet", "llama3")["caption"].to_dict() == {"a": "A cat."}
    with pytest.raises(DifflabError, match="no 'gemma' captions, only blip2, llama3"):
        read_captions(tmp_path / "c.parquet", "gemma")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table(("a", "blip2", "x"), ("a", "blip2", "y")), "two 'blip2' captions of a"),
        (table(("a", "blip2", "two\nlines")), "not one clean line"),
        (table(("a", "blip2", " space around ")), "not one clean line"),
        (table(("a", "blip2", None)), "not one clean line"),
        (table(("a", "blip2", "x")).drop(columns="source_sha256"), "lacks the column source_sha256"),
    ],
)
def test_anything_else_is_refused_and_nothing_is_written(tmp_path, frame, message):
    with pytest.raises(DifflabError, match=message):
        write_captions(tmp_path / "captions.parquet", frame)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_table_says_how_to_make_it(tmp_path):
    with pytest.raises(DifflabError, match="is missing: run `dvc repro`"):
        read_captions(tmp_path / "captions.parquet")


@pytest.mark.parametrize("text", ["Soup", "7", "\u756a\u8304", "\u0633\u0644\u0637\u0629", "\U0001f355 pie"])
def test_a_letter_or_digit_of_any_script_is_a_word(text):
    assert has_word(text)


@pytest.mark.parametrize("text", ["", " \n", "???", "\U0001f355\U0001f355", "\u200b", None, float("nan"), 7, ["Soup"]])
def test_marks_pictures_and_what_is_no_text_are_none(text):
    assert not has_word(text)
