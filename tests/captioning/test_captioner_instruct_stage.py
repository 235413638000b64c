"""The stage that captions by an instruction model."""

from difflab.captioning.params import CaptionerInstructParams
from difflab.core.base.files import sha256_bytes, sha256_file
from difflab.core.base.store.captions import read_captions
from fakes import tiny_instruct as tiny
from fakes.mixed_sets import ORIGINALS, SPLITS, content, write_mixed
from fakes.running_stage import RunningStage


def test_the_stage_captions_the_test_images_the_same_bytes_every_time(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    write_mixed(tmp_path / "data")
    tiny.saved("models/zoo/instruct")
    from stages.captioning.captioner_instruct import main

    hashes = []
    for _ in range(2):
        main(RunningStage(tmp_path, captioner_instruct=CaptionerInstructParams(**tiny.asking())))
        hashes.append(sha256_file("data/captioner/instruct.parquet"))
    assert hashes[0] == hashes[1]
    table = read_captions("data/captioner/instruct.parquet", "seed-0")
    assert table.index.tolist() == [id for id, split in SPLITS.items() if split == "test"]
    assert table["source_sha256"].tolist() == [sha256_bytes(content(ORIGINALS[id])) for id in table.index]
