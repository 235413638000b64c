"""Work over ids is cut the same way for any number of processes, and goes on where it stopped."""

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import Interrupted
from difflab.core.base.sharding import process_chunks

IDS = [f"hq-{n:05d}" for n in range(11)]


def recorder(calls):
    def work(chunk, path):
        calls.append(list(chunk))
        path.write_text("\n".join(chunk))

    return work


@given(count=st.integers(0, 40), chunk_size=st.integers(1, 12))
def test_chunks_hold_every_id_once_and_in_order(tmp_path_factory, count, chunk_size):
    ids = [f"id {n}" for n in range(count)]
    scratch = tmp_path_factory.mktemp("chunks")
    paths = process_chunks(ids, chunk_size, scratch, recorder([]), what="things")
    parts = [path.read_text().split("\n") for path in paths]
    assert [id for part in parts for id in part] == ids
    assert all(len(part) == chunk_size for part in parts[:-1])


def test_finished_chunks_are_not_made_again(tmp_path):
    def failing(chunk, path):
        if chunk[0] == IDS[6]:
            raise RuntimeError("power cut")
        recorder([])(chunk, path)

    with pytest.raises(RuntimeError, match="power cut"):
        process_chunks(IDS, 3, tmp_path, failing, what="things")
    calls = []
    paths = process_chunks(IDS, 3, tmp_path, recorder(calls), what="things")
    assert calls == [IDS[6:9], IDS[9:]]
    assert len(paths) == 4


def test_chunks_of_other_ids_are_not_taken(tmp_path):
    process_chunks(IDS, 3, tmp_path, recorder([]), what="things")
    calls = []
    process_chunks(IDS[::-1], 3, tmp_path, recorder(calls), what="things")
    assert len(calls) == 4


def test_processes_share_the_chunks_and_only_the_first_gets_the_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    shares = []
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        calls = []
        paths = process_chunks(IDS, 3, tmp_path, recorder(calls), what="things")
        shares.append(calls)
        assert (paths is None) == (rank == "1")
    assert shares == [[IDS[3:6], IDS[9:]], [IDS[:3], IDS[6:9]]]
    assert [path.read_text().split("\n")[0] for path in paths] == IDS[::3]


def test_an_interruption_keeps_what_is_done(tmp_path):
    def interrupted(chunk, path):
        recorder([])(chunk, path)
        if chunk[0] == IDS[3]:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="things stopped with its state saved"):
        process_chunks(IDS, 3, tmp_path, interrupted, what="things")
    assert len(list((tmp_path / "things").iterdir())) == 1, "the chunk in work leaves nothing"
