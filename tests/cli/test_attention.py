"""`difflab attention`: a picture with heat maps and the numbers behind them, and one line for what cannot be."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

from difflab.attention.affinity import affinities, tokens
from difflab.attention.records import StoredRecords
from difflab.cli import attention
from difflab.cli.attention import Request
from difflab.cli.main import cli
from difflab.core.base.errors import DifflabError
from difflab.core.params import load_params
from difflab.miniature.zoo.tokenizers import clip_tokenizer, t5_tokenizer
from difflab.sd3.artifacts.adapters import adapt, save_adapter
from difflab.sd3.artifacts.components import Components
from difflab.sd3.artifacts.prompt_embeds import combine
from fakes import sd3_study
from fakes.flow import lora_settings, tiny_transformer

WIDTHS = {"joint_attention_dim": 12, "pooled_projection_dim": 5}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of the smallest size whose text encoders have tokenizers: 3 tokens of CLIP, 2 of T5."""
    folder = tmp_path_factory.mktemp("study")
    clip_tokenizer(3).save_pretrained(folder / "models/zoo/text/tokenizer")
    t5_tokenizer(2).save_pretrained(folder / "models/zoo/text/tokenizer_3")
    sd3_study.make_study(folder)
    return folder


@pytest.fixture
def show(study, tmp_path, root, monkeypatch):
    """A function that runs the command in the study with the given request."""
    params = load_params(root / "params.yaml")
    prompts = params.cache.prompts.model_copy(update={"max_sequence_length": 2})
    params = params.model_copy(update={"cache": params.cache.model_copy(update={"prompts": prompts})})
    fake = sd3_study.FakeEncoders()
    monkeypatch.setattr(attention, "encoded", lambda prompts, params: combine(fake.encode(prompts, 1)))
    monkeypatch.chdir(study)

    def run(prompt="cat", keep=False, out=tmp_path / "out", **options):
        return attention.attention(Request(prompt, **{"num_inference_steps": 2, **options}), out, params, keep)

    return run


def test_the_picture_and_the_numbers_of_each_word_are_written(show, tmp_path):
    (line,) = show(words=("cat",))
    assert line.startswith(f"wrote {tmp_path}/out/attention.png")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["attention.png", "attention.safetensors"]
    found = load_file(tmp_path / "out/attention.safetensors")
    row, heat = found["row/cat"], found["heat/cat"]
    assert abs(float(row.sum()) - 1) < 1e-5
    torch.testing.assert_close(row[: heat.numel()].reshape(heat.shape), heat)
    assert len(row) == heat.numel() + 3 + 2
    assert Image.open(tmp_path / "out/attention.png").size[0] > 2 * 160


def test_the_picture_is_the_same_whatever_is_captured_and_the_files_have_the_same_bytes(show, tmp_path):
    show(out=tmp_path / "a")
    show(out=tmp_path / "b")
    assert (tmp_path / "a/attention.png").read_bytes() == (tmp_path / "b/attention.png").read_bytes()
    show(out=tmp_path / "c", blocks=(1,), steps=(0,), affinity="value")
    pictures = [load_file(tmp_path / name / "attention.safetensors")["picture"] for name in "abc"]
    assert all(np.array_equal(pictures[0], picture) for picture in pictures)


def test_what_is_kept_gives_the_row_again(show, tmp_path):
    show(words=("cat",), keep=True, blocks=(2,), guidance_scale=1.0)
    records = StoredRecords(tmp_path / "out/capture")
    assert (records.facts["prompt"], records.steps) == ("cat", [0, 1])
    patches = load_file(tmp_path / "out/attention.safetensors")["heat/cat"].numel()
    again = affinities(tokens([(records, 0)]), "attention", [patches + 1, patches + 3]).mean(0)
    torch.testing.assert_close(again, load_file(tmp_path / "out/attention.safetensors")["row/cat"])


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"prompt": " "}, "the prompt is empty"),
        ({"words": ("dog",)}, "'dog' is not in the prompt as the model reads it: its tokens are 'cat'"),
        ({"blocks": (3,)}, "block 3 does not exist: the network has blocks 0 to 2"),
        ({"steps": (2,)}, "step 2 does not exist: this sampling has steps 0 to 1"),
        ({"heads": (2,)}, "head 2 does not exist: a layer has heads 0 to 1"),
        ({"size": 1024}, "--size 1024: this base makes pictures of 16 x 16 pixels only"),
        ({"affinity": "quer"}, "--affinity quer does not exist: one of attention, output, query, key, value"),
        ({"num_inference_steps": 0}, "0 sampling steps: take one or more"),
        ({"guidance_scale": float("nan")}, "nan is not a valid guidance scale"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(show, tmp_path, options, line):
    with pytest.raises(DifflabError) as error:
        show(**options)
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_an_adapter_of_another_base_is_refused(show, tmp_path):
    other = tiny_transformer(seed=1, **WIDTHS)
    adapt(other, lora_settings(), 0)
    components: Components = {"vae": "another", "text_encoders": "another"}
    save_adapter(tmp_path / "adapter", other, lora_settings(), components)
    with pytest.raises(DifflabError, match="was trained on another base transformer"):
        show(adapter=tmp_path / "adapter")
    with pytest.raises(DifflabError, match="is missing"):
        show(adapter=tmp_path / "nowhere")


def test_another_length_of_text_than_in_training_is_refused(show, study, root):
    with pytest.raises(DifflabError, match="prompts of 13 tokens: the model was trained with 2"):
        attention.attention(Request("cat", num_inference_steps=2), study / "out", load_params(root / "params.yaml"))


def test_the_command_shows_its_options_and_says_its_errors():
    shown = CliRunner().invoke(cli, ["attention", "--help"])
    assert shown.exit_code == 0
    for option in ("--prompt", "--token", "--affinity", "--block", "--step", "--head", "--adapter", "--keep"):
        assert option in shown.output
