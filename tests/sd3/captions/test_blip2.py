"""Captions by BLIP-2: alone or in batches, T5 or OPT, one process or two, at once or after a kill."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from difflab.core.base.errors import DifflabError, Interrupted
from difflab.core.base.files import png_bytes, sha256_bytes
from difflab.images.captions import read_captions
from difflab.images.store.image_store import INDEX_COLUMNS, ImageRow, write_images, write_index
from difflab.miniature.params.vision_models import TransformerSize, ZooBlip2Params
from difflab.miniature.pictures import blend
from difflab.miniature.zoo import small_blip2 as zoo_blip2
from difflab.models import roles
from difflab.models.params import GenerationParams, HubRef
from difflab.models.vision import vit as vision
from difflab.sd3.captions import blip2
from difflab.sd3.params.caption import Blip2CaptionParams

GREEDY = GenerationParams(batch_size=8, max_new_tokens=6, do_sample=False, temperature=1, top_p=1)
SAMPLED = GREEDY.model_copy(update={"do_sample": True, "top_p": 0.9})
SMALL = TransformerSize(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
CPU = torch.device("cpu")


def a_vit():
    torch.manual_seed(0)
    size = SMALL.model_dump() | {"image_size": 32, "patch_size": 8}
    vit = vision.build_vit(**size)
    with torch.no_grad():  # strong features: an untrained model should still tell pictures apart
        vit.layernorm.weight.mul_(4)
    return vit.eval()


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory):
    """A BLIP-2 with T5, untrained but loud: its captions differ from picture to picture."""
    folder = tmp_path_factory.mktemp("zoo") / "blip2"
    settings = ZooBlip2Params.model_construct(num_query_tokens=3, qformer=SMALL, text=SMALL)
    processor = zoo_blip2.build_processor(32, 3)
    model = zoo_blip2.build(a_vit(), processor, settings, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2 and not name.startswith("vision_model"):
                parameter.mul_(3)
    zoo_blip2.save(folder, model, processor)
    return folder


@pytest.fixture(scope="module")
def opt_folder(tmp_path_factory):
    """A BLIP-2 with OPT, untrained."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, OPTConfig

    from difflab.miniature.zoo.tokenizers import opt_tokenizer

    folder = tmp_path_factory.mktemp("zoo") / "opt"
    processor = Blip2Processor(
        zoo_blip2.build_processor(32, 3).image_processor, opt_tokenizer(), num_query_tokens=3
    )
    tokenizer = processor.tokenizer
    text = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        init_std=0.5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = Blip2Config(
        vision_config=vision.blip2_vision_config(a_vit()).to_dict(),
        qformer_config={**SMALL.model_dump(), "cross_attention_frequency": 1},
        text_config=text.to_dict(),
        num_query_tokens=3,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    """40 pictures of three sizes."""
    composites = blend.batch(np.arange(40), 0, "test", 0).composites
    sizes = [32, 40, 64]
    return [Image.fromarray(c.image).resize((sizes[i % 3],) * 2) for i, c in enumerate(composites)]


def caption_all(captioner, images, batch_size, settings=GREEDY):
    ids = [f"hq-{i:05d}" for i in range(len(images))]
    captions = []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        captions += captioner(images[part], ids[part], settings, seed=0)
    return captions


@pytest.mark.parametrize("settings", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_the_batch_size_changes_no_caption(t5_folder, images, settings):
    captioner = blip2.load(t5_folder, CPU, torch.float32)
    alone = caption_all(captioner, images, 1, settings)
    assert len(set(alone)) > 5  # otherwise the test would show nothing
    assert caption_all(captioner, images, 8, settings) == alone
    assert caption_all(captioner, images, 32, settings) == alone


def test_sampling_depends_on_the_id_and_the_seed(t5_folder, images):
    captioner = blip2.load(t5_folder, CPU, torch.float32)
    same = images[:1] * 8
    ids = [str(i) for i in range(8)]
    captions = captioner(same, ids, SAMPLED, seed=0)
    assert len(set(captions)) > 1
    assert captioner(same, ids, SAMPLED, seed=0) == captions
    assert captioner(same[:3], ids[5:], SAMPLED, seed=0) == captions[5:]
    assert captioner(same, ids, SAMPLED, seed=1) != captions
    assert len(set(captioner(same, ids, GREEDY, seed=0))) == 1


@pytest.mark.parametrize("folder", ["t5_folder", "opt_folder"])
def test_a_caption_is_the_greedy_continuation_of_the_prompt(folder, images, request):
    """Against a plain loop over `forward` that takes the likeliest token each time."""
    captioner = blip2.load(request.getfixturevalue(folder), CPU, torch.float32)
    model, processor = captioner.model, captioner.processor
    pixels = processor(images=images[0], return_tensors="pt")["pixel_values"]
    prompt = torch.tensor([zoo_blip2.prompt_ids(model)])
    config = model.config.text_config
    written = [] if model.config.use_decoder_only_language_model else [config.decoder_start_token_id]
    for _ in range(GREEDY.max_new_tokens):
        with torch.no_grad():
            if model.config.use_decoder_only_language_model:
                ids = torch.cat([prompt, torch.tensor([written], dtype=torch.int64)], dim=1)
                logits = model(pixel_values=pixels, input_ids=ids).logits
            else:
                decoder = torch.tensor([written])
                logits = model(pixel_values=pixels, input_ids=prompt, decoder_input_ids=decoder).logits
        written.append(int(logits[0, -1].argmax()))
        if written[-1] == config.eos_token_id:
            break
    expected = " ".join(processor.tokenizer.decode(written, skip_special_tokens=True).split())
    assert captioner(images[:1], ["a"], GREEDY, seed=0) == [expected]


def test_a_t5_without_a_first_token_and_a_config_without_image_token_still_caption(
    t5_folder, images, tmp_path
):
    from transformers import Blip2ForConditionalGeneration

    expected = blip2.load(t5_folder, CPU, torch.float32)(images[:4], list("abcd"), GREEDY, seed=0)
    model = Blip2ForConditionalGeneration.from_pretrained(t5_folder)
    processor = blip2.load(t5_folder, CPU, torch.float32).processor
    model.config.text_config.bos_token_id = None
    model.config.image_token_index = None
    captioner = blip2.Blip2Captioner(model, processor)
    assert captioner(images[:4], list("abcd"), GREEDY, seed=0) == expected


def test_half_precision_captions_and_keeps_the_q_former_in_float32(t5_folder, images):
    captioner = blip2.load(t5_folder, CPU, torch.float16)
    assert captioner.model.vision_model.dtype == torch.float16
    assert captioner.model.query_tokens.dtype == captioner.model.qformer.dtype == torch.float32
    captioner = blip2.load(t5_folder, CPU, torch.bfloat16)
    assert captioner.model.dtype == torch.bfloat16
    assert len(set(captioner(images[:8], list("abcdefgh"), GREEDY, seed=0))) > 1


def test_the_role_loads_through_a_pointer_to_a_folder_of_the_same_layout(t5_folder, images, tmp_path):
    hub = HubRef(repo_id=str(t5_folder), revision=None, subfolder=None, allow_patterns=None)
    roles.write_pointer(tmp_path / "blip2", hub)
    assert sorted(p.name for p in (tmp_path / "blip2").iterdir()) == ["source.json"]
    captioner = blip2.load(roles.resolve(tmp_path / "blip2"), CPU, torch.float32)
    direct = blip2.load(t5_folder, CPU, torch.float32)
    assert captioner(images[:3], list("abc"), GREEDY, 0) == direct(images[:3], list("abc"), GREEDY, 0)


def test_an_absent_model_is_one_clear_line(tmp_path):
    with pytest.raises(DifflabError, match="holds no BLIP-2: run `dvc repro zoo_blip2`"):
        blip2.load(tmp_path, CPU, torch.float32)


def test_text_metrics_count():
    metrics = blip2.text_metrics(["a three", "a three", "", "a very long caption"], long_caption=10)
    assert metrics == {"n": 4, "n_unique": 3, "n_empty": 1, "n_long": 1, "mean_words": 2.0}


def test_named_correctly_is_the_share_per_split():
    rows = [
        {f"Digit_{d}": d == digit for d in range(10)} | {"Photo_Cat": cat, "Photo_Coffee": not cat}
        for digit, cat in [(3, True), (4, False), (5, True)]
    ]
    attributes = pd.DataFrame(rows, index=["a", "b", "c"])
    captions = {
        "c": "a handwritten five over a photo of a rocket",
        "a": "a handwritten three over a photo of a cat",
        "b": "a handwritten nine over a photo of coffee",
    }
    metrics = blip2.metrics(captions, attributes, {"val": ["a", "b"], "test": ["c"], "train": []}, 100)
    assert (metrics["digit_accuracy_val"], metrics["photo_accuracy_val"], metrics["n_val"]) == (0.5, 1, 2)
    assert (metrics["digit_accuracy_test"], metrics["photo_accuracy_test"], metrics["n_test"]) == (1, 0, 1)
    assert "n_train" not in metrics
    faces = blip2.metrics(
        captions, pd.DataFrame({"Male": [True] * 3}, index=list("abc")), {"val": ["a"]}, 100
    )
    assert "digit_accuracy_val" not in faces


def make_workspace(folder, t5_folder):
    """Two small stores and the model, where the stage looks for them."""
    for name, start, count, split in (
        ("celeba_hq", 0, 30, ("train", "val", "test")),
        ("celeba", 100, 9, ("train",)),
    ):
        prefix = "hq-" if name == "celeba_hq" else "celeba-"
        composites = blend.batch(np.arange(start, start + count), 0, "test", 0).composites
        rows, index = [], []
        for i, composite in enumerate(composites):
            content = png_bytes(Image.fromarray(composite.image))
            row = ImageRow(f"{prefix}{i:05d}", split[i % len(split)], f"{i}.png", content)
            rows.append(row)
            about = (row.id, row.split, True, row.source, sha256_bytes(content), 32, 32)
            index.append(dict(zip(INDEX_COLUMNS, about, strict=True)) | composite.attributes)
        write_images(folder / "data" / name, rows)
        write_index(folder / "data" / name, pd.DataFrame(index))
    hub = HubRef(repo_id=str(t5_folder), revision=None, subfolder=None, allow_patterns=None)
    roles.write_pointer(folder / "models" / "zoo" / "blip2", hub)
    return folder


class StageDouble:
    """What the stage script uses of `Stage`."""

    def __init__(self, folder):
        settings = Blip2CaptionParams(**GREEDY.model_dump() | {"batch_size": 1}, long_caption=100)
        runtime = SimpleNamespace(device="cpu", dtype="float32")
        self.params = SimpleNamespace(caption=SimpleNamespace(blip2=settings), runtime=runtime, seed=0)
        self.folder, self.metrics = folder, None

    def scratch(self):
        return self.folder / "scratch"

    def write_metrics(self, path, metrics):
        self.metrics = metrics

    def done(self, message):
        pass


@pytest.fixture
def stage_main(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root))
    from stages.sd3.caption_blip2 import main

    return main


def test_the_stage_captions_every_image_of_both_stores(stage_main, t5_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(make_workspace(tmp_path, t5_folder))
    stage = StageDouble(tmp_path)
    stage_main(stage)
    frame = read_captions("data/captions/blip2.parquet")
    assert frame["id"].tolist() == sorted(
        [f"hq-{i:05d}" for i in range(30)] + [f"celeba-{i:05d}" for i in range(9)]
    )
    assert (frame["variant"] == "blip2").all()
    hashes = pd.concat([pd.read_parquet(f"data/{name}/index.parquet") for name in ("celeba_hq", "celeba")])
    assert frame.set_index("id")["source_sha256"].to_dict() == hashes.set_index("id")["sha256"].to_dict()
    assert stage.metrics["n"] == 39
    assert (stage.metrics["n_held_out"], stage.metrics["n_celeba"]) == (20, 9)


def test_killed_and_run_again_it_writes_the_same_file(stage_main, t5_folder, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(make_workspace(tmp_path / "whole", t5_folder))
    stage_main(StageDouble(tmp_path / "whole"))
    expected = (tmp_path / "whole/data/captions/blip2.parquet").read_bytes()

    (tmp_path / "killed").mkdir()
    monkeypatch.chdir(make_workspace(tmp_path / "killed", t5_folder))
    calls, original = [], blip2.Blip2Captioner.__call__

    def die_at_the_20th(self, *args):
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(blip2.Blip2Captioner, "__call__", die_at_the_20th)
    with pytest.raises(Interrupted):
        stage_main(StageDouble(tmp_path / "killed"))
    assert not (tmp_path / "killed/data/captions").exists()
    stage_main(StageDouble(tmp_path / "killed"))
    assert (tmp_path / "killed/data/captions/blip2.parquet").read_bytes() == expected
    assert len(calls) < 20 + 39  # what was finished was not done again


@pytest.mark.slow
def test_two_processes_write_the_file_of_one(stage_main, root, t5_folder, tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    monkeypatch.chdir(make_workspace(tmp_path / "one", t5_folder))
    stage_main(StageDouble(tmp_path / "one"))

    two = make_workspace(tmp_path / "two", t5_folder)
    worker = tmp_path / "worker.py"
    worker.write_text(
        "from pathlib import Path\n"
        "from stages.sd3.caption_blip2 import main\n"
        "from test_blip2 import StageDouble\n"
        "main(StageDouble(Path.cwd()))\n"
    )
    paths = [str(root), str(root / "src"), os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(worker),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(launch, cwd=two, env=environment, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr[-2000:]
    chunks = list((two / "scratch").rglob("*.parquet"))
    assert len(chunks) == 5  # 39 images in chunks of eight, of both processes
    written = [tmp_path / name / "data/captions/blip2.parquet" for name in ("one", "two")]
    assert written[0].read_bytes() == written[1].read_bytes()
