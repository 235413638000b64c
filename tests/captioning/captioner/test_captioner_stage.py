"""The stages of the captioner, on pictures of one colour and models of the smallest size."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from difflab.captioning.captioner_model.captioner_folder import load_captioner
from difflab.captioning.mixed_set import MixedSet
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, sha256_bytes, sha256_file, write_json
from difflab.core.tracking import NoRun
from difflab.images.store.captions import read_captions
from fakes import tiny_captioner as tiny
from fakes.mixed_sets import ORIGINALS, SPLITS, content, write_mixed


class StageDouble:
    """What the stage scripts use of `Stage`."""

    def __init__(self, scratch="scratch"):
        runtime = SimpleNamespace(device="cpu", dtype="float32")
        captioner = tiny.params(training=tiny.training(steps=4, checkpoint_interval=2, log_interval=2))
        self.params = SimpleNamespace(captioner=captioner, runtime=runtime, seed=0)
        self.run, self._scratch = NoRun(), Path(scratch)

    def scratch(self):
        self._scratch.mkdir(exist_ok=True)
        return self._scratch

    def write_metrics(self, path, metrics):
        write_json(path, metrics)

    def done(self, message):
        pass


@pytest.fixture
def workspace(root, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    write_mixed(tmp_path / "data")
    tiny.save_roles(tmp_path / "models/zoo")
    return tmp_path


def train(data, seed="0", scratch="scratch"):
    from stages.captioning.captioner import main

    main(StageDouble(scratch), data=data, seed=seed)
    return f"{data}-{seed}"


@pytest.mark.parametrize(("data", "images"), [("original", 2), ("mixed", 4), ("synthetic", 2)])
def test_a_cell_trains_on_its_data_for_the_same_steps_and_captions_the_test_images(workspace, data, images):
    cell = train(data)
    metrics = read_json(f"metrics/captioner/{cell}.json")
    assert (metrics["train_images"], metrics["train_titles"], metrics["test_images"]) == (images, images, 1)
    curve = pd.read_csv(f"plots/captioner/{cell}.csv")
    assert curve["step"].tolist() == [0, 2, 4]
    assert metrics["val_loss"] == pytest.approx(curve["val_loss"].min(), rel=1e-5)
    table = read_captions(f"data/captions/captioner/{cell}.parquet", "captioner")
    assert table.index.tolist() == ["b"]
    assert table["source_sha256"].tolist() == [sha256_bytes(content(ORIGINALS["b"]))]
    captioner, settings = load_captioner(f"models/captioner/{cell}", "cpu", torch.float32)
    mixed = MixedSet()
    (pictures,) = mixed.images(mixed.part("test"))
    assert captioner.captions_of(pictures, settings.decoding) == table["caption"].tolist()


def test_a_cell_is_the_same_bytes_every_time(workspace):
    hashes = []
    for scratch in ("first", "second"):
        cell = train("mixed", scratch=scratch)
        folders = (f"models/captioner/{cell}", f"data/captions/captioner/{cell}.parquet")
        hashes.append([sha256_file(folder) for folder in (*folders, f"plots/captioner/{cell}.csv")])
    assert hashes[0] == hashes[1]


def test_seeds_differ(workspace):
    cells = [train("original", seed, scratch=f"scratch{seed}") for seed in "01"]
    assert len({sha256_file(f"models/captioner/{cell}") for cell in cells}) == 2


def test_before_training_the_same_images_are_captioned(workspace):
    from stages.captioning.captioner_zero_shot import main

    main(StageDouble())
    table = read_captions("data/captions/captioner/zero_shot.parquet", "captioner")
    assert table.index.tolist() == [id for id, split in SPLITS.items() if split == "test"]


def test_a_training_set_without_pictures_is_one_line(workspace):
    only_originals = {id: split for id, split in SPLITS.items() if "-v" not in id}
    write_mixed(workspace / "data", only_originals)
    with pytest.raises(DifflabError, match="no synthetic row in train: run `dvc repro mix`"):
        train("synthetic")
