"""`difflab adapter-report` on two trainings of the smallest study."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from difflab.cli.adapter_report import adapter_report, adapters, by_block, chart_png, drift_tensors, drifts
from difflab.core.base.errors import DifflabError
from difflab.core.base.roles import fingerprint, load_transformer, resolve
from difflab.sd3.artifacts.adapters import adapt, save_adapter
from fakes import sd3_study
from fakes.flow import lora_settings

CELL = "models/finetune/blip2-zero"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A cell of two trainings; the second moves the first block alone."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sd3_study.make_study(folder)
        components = {"vae": fingerprint(Path("models/zoo/vae")), "text_encoders": fingerprint(Path("models/zoo/text"))}
        for seed, settings in ((0, lora_settings()), (1, lora_settings(blocks=[0]))):
            transformer = load_transformer(resolve("models/zoo/transformer"))
            adapt(transformer, settings, seed)
            torch.manual_seed(seed)
            for parameter in (p for p in transformer.parameters() if p.requires_grad):
                parameter.data.normal_()
            save_adapter(Path(f"{CELL}/seed-{seed}"), transformer, settings, components)
    return folder


@pytest.fixture
def workspace(study, tmp_path, monkeypatch):
    shutil.copytree(study, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def report(*folders, **changes):
    own = sd3_study.Sd3Stage().params
    params = SimpleNamespace(seed=0, runtime=own.runtime, generate=own.generate)
    options = {"captions": "blip2", "prompts": 2, "out": Path("out"), "params": params} | changes
    return adapter_report([Path(f) for f in folders or (CELL,)], **options)


def test_a_cell_stands_for_its_trainings(workspace):
    assert list(adapters([Path(CELL)])) == ["blip2-zero/seed-0", "blip2-zero/seed-1"]
    assert list(adapters([Path(f"{CELL}/seed-1")])) == ["blip2-zero/seed-1"]


def test_tables_say_where_each_acts_and_how_alike_they_are(workspace):
    text = report()
    rows = [line for line in text.splitlines() if line.startswith("| blip2-zero/seed-1 | ")]
    assert [row.split(" | ")[1] for row in rows] == ["0"]
    assert "| blip2-zero/seed-0 | blip2-zero/seed-1 |" in text
    files = "out/drift.csv, out/drift.safetensors, out/drift.png and out/pictures.png"
    assert text.endswith(f"wrote {files}, 2 prompts from the same noise")


def test_the_files_are_a_table_by_layer_a_chart_and_pictures(workspace):
    report()
    found = pd.read_csv("out/drift.csv")
    assert set(found.columns) == {"adapter", "block", "target", "norm", "relative", "largest", "effective_rank"}
    assert set(found[found["adapter"] == "blip2-zero/seed-1"]["block"]) == {0}
    row, tensors = found.iloc[0], load_file("out/drift.safetensors")
    assert tensors[f"{row.adapter}/{row.target}"][row.block] == pytest.approx(row.relative, rel=1e-5)
    assert not tensors["blip2-zero/seed-1/attn.to_q"][1:].any()  # it moves the first block alone
    with Image.open("out/drift.png") as chart, Image.open("out/pictures.png") as pictures:
        assert min(chart.size) > 100
        assert pictures.width > 3 * 88  # a column without an adapter, and one for each


def test_the_chart_is_of_what_drifts_finds_and_the_base_is_left_as_it_was(workspace):
    report()
    transformer = load_transformer(resolve("models/zoo/transformer"))
    before = {name: weight.clone() for name, weight in transformer.state_dict().items()}
    components = {"vae": fingerprint(Path("models/zoo/vae")), "text_encoders": fingerprint(Path("models/zoo/text"))}
    found, _ = drifts(transformer, adapters([Path(CELL)]), components)
    assert chart_png(found) == Path("out/drift.png").read_bytes()
    assert drift_tensors(found) == Path("out/drift.safetensors").read_bytes()
    after = transformer.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_the_same_bytes_every_time(workspace):
    def contents(out):
        report(out=Path(out))
        return {path.name: path.read_bytes() for path in Path(out).iterdir()}

    assert contents("one") == contents("two")


def test_a_blocks_share_is_over_all_its_layers():
    rows = {"adapter": "a", "block": 0, "target": ["x", "y"], "norm": [3.0, 4.0], "relative": [0.5, 0.5]}
    assert by_block(pd.DataFrame(rows)).loc[0, "a"] == pytest.approx(0.5)


def test_bad_input_is_refused(workspace):
    with pytest.raises(DifflabError, match=r"nowhere holds no pytorch_lora_weights.safetensors: name a folder of"):
        report("nowhere")
    with pytest.raises(DifflabError, match=r"two adapters are called blip2-zero/seed-0: name each once"):
        report(CELL, f"{CELL}/seed-0")
    Path("file").touch()
    with pytest.raises(DifflabError, match="--out file is a file: name a folder"):
        report(out=Path("file"))


def test_an_adapter_of_another_base_is_refused(workspace):
    from fakes.flow import tiny_transformer

    other = tiny_transformer(seed=5, joint_attention_dim=12, pooled_projection_dim=5)
    shutil.rmtree("models/zoo/transformer/transformer")
    other.save_pretrained("models/zoo/transformer/transformer")
    with pytest.raises(DifflabError, match="was trained on another base transformer"):
        report()
    assert not Path("out").exists()
