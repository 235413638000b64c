"""`difflab attention`: pictures with heat maps and the numbers behind them, and one line for what cannot be."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from difflab.attention.affinity import affinities, tokens
from difflab.attention.records import StoredRecords
from difflab.cli import attention_capture
from difflab.cli.main import cli
from difflab.core.base.errors import DifflabError, one_line
from difflab.core.base.files import write_json
from fakes import adapters

PROMPT, A, B = "three over a cat", "models/finetune/blip2-zero/seed-0", "models/finetune/llama3-zero/seed-0"
PATCHES, TOKENS = 16, 16 + 16 + 13  # of the tiny base, with 16 of CLIP and 13 of T5


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, list(arguments))
    if result.exit_code:
        raise result.exception
    return result.output


def show(*arguments: str, out="out", prompts=(PROMPT,)) -> dict[str, torch.Tensor]:
    """What the command writes for two steps of sampling."""
    asked = [word for prompt in prompts for word in ("--prompt", prompt)]
    run("attention", *asked, "--num-inference-steps", "2", "--out", out, *arguments)
    return load_file(f"{out}/{'clusters' if '--clusters' in arguments else 'attention'}.safetensors")


def test_the_picture_is_that_of_generate_and_a_word_s_row_holds_its_map(sd3_workspace):
    found = show("--token", "cat")
    assert sorted(p.name for p in (sd3_workspace / "out").iterdir()) == ["attention.png", "attention.safetensors"]
    row, heat = found["base/0/cat/row"], found["base/0/cat/heat"]
    assert (len(row), heat.shape) == (TOKENS, (4, 4))
    assert abs(float(row.sum()) - 1) < 1e-5
    torch.testing.assert_close(row[:PATCHES].reshape(4, 4), heat)
    run("generate", "--prompt", PROMPT, "--model", "sd3", "--num-inference-steps", "2")
    assert np.array_equal(np.asarray(Image.open("generated.png")), found["base/0/picture"].numpy())
    assert Image.open("out/attention.png").width > 2 * 160


def test_the_same_request_gives_the_same_bytes_and_the_picture_does_not_depend_on_what_is_captured(sd3_workspace):
    first, other = show(out="a"), show("--block", "1", "--step", "0", "--affinity", "value", out="c")
    show(out="b")
    for name in ("attention.png", "attention.safetensors"):
        assert (sd3_workspace / "a" / name).read_bytes() == (sd3_workspace / "b" / name).read_bytes()
    assert torch.equal(first["base/0/picture"], other["base/0/picture"])
    assert sorted(name.split("/")[2] for name in first if name.endswith("/row")) == ["a", "cat", "over", "three"]


def test_two_models_share_the_noise_and_have_a_difference(sd3_workspace):
    found = show("--model", A, "--model", B, "--token", "cat")
    names = "blip2-zero-seed-0", "llama3-zero-seed-0"
    alone = [show("--model", model, "--token", "cat", out=f"alone-{model[16]}") for model in (A, B)]
    for name, own in zip(names, alone, strict=True):
        for part in ("picture", "cat/heat"):
            assert torch.equal(found[f"{name}/0/{part}"], own[f"{name}/0/{part}"])
    change = found[f"{names[1]}/0/cat/row"] - found[f"{names[0]}/0/cat/row"]
    torch.testing.assert_close(found["difference/0/cat/row"], change)
    one, two = (Image.open(f"{folder}/attention.png").height for folder in ("alone-b", "out"))
    assert two == 2 + 14 + 3 * (one - 16)  # a row for each model and one for the difference
    with_base = show("--model", "sd3", "--model", A, "--token", "cat", out="base")
    assert {name.split("/")[0] for name in with_base} == {"base", names[0], "difference"}


def test_across_pictures_the_rows_of_a_word_sum_to_one_together(sd3_workspace):
    prompts = (PROMPT, "three over a dog")
    found = show("--token", "dog", "--across", prompts=prompts)
    rows = [found[f"base/{n}/dog/row"] for n in range(2)]
    assert abs(float(sum(row.sum() for row in rows)) - 1) < 1e-5
    within = show("--token", "dog", prompts=prompts, out="within")
    assert "base/0/dog/row" not in within
    both = show("--token", "three", "--across", prompts=prompts, out="both")
    assert {name.split("/")[2] for name in both if name.endswith("row")} == {"three (prompt 0)", "three (prompt 1)"}


def test_a_patch_is_asked_about_as_a_word_is(sd3_workspace):
    found = show("--patch", "1,2", "--patch", "0, 0", "--affinity", "output", "--keep")
    assert sorted(name for name in found if name.endswith("row")) == ["base/0/patch 0,0/row", "base/0/patch 1,2/row"]
    row = found["base/0/patch 1,2/row"]
    assert abs(float(row[6]) - 1) < 1e-3  # with itself
    records = StoredRecords(sd3_workspace / "out/capture/base-0")
    assert records.facts["prompt"] == PROMPT
    torch.testing.assert_close(affinities(tokens([(records, 0)]), "output", [6])[0], row)


def test_clusters_of_two_models_have_one_space_of_colours(sd3_workspace):
    found = show("--clusters", "4", "--model", "sd3", "--model", A, prompts=(PROMPT, "a dog"))
    assert found["base/1/colours"].shape == (4, 4, 3)
    assert found["blip2-zero-seed-0/0/groups"].shape == (4, 4)
    assert set(found["blip2-zero-seed-0/1/groups"].flatten().tolist()) <= {0, 1, 2, 3}
    assert sorted(p.name for p in (sd3_workspace / "out").iterdir()) == ["clusters.png", "clusters.safetensors"]
    with safe_open("out/clusters.safetensors", "pt") as file:
        assert json.loads(file.metadata()["request"])["eigenvectors"] == 4


def test_a_sheet_of_the_base_and_adapters_and_its_pictures_as_tensors(sd3_workspace):
    asked = ("generate", "--prompt", PROMPT, "--model", "sd3", "--model", A, "--num-inference-steps", "2", "--out")
    assert "base, blip2-zero-seed-0 from the same noise" in run(*asked, "sheet.png")
    run(*asked, "sheet.safetensors")
    found = load_file("sheet.safetensors")
    run("generate", "--prompt", PROMPT, "--model", A, "--num-inference-steps", "2")
    assert np.array_equal(np.asarray(Image.open("generated.png")), found["blip2-zero-seed-0"].numpy())
    assert not torch.equal(found["base"], found["blip2-zero-seed-0"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--prompt", " "], "the prompt is empty"),
        (
            ["--token", "dog"],
            "'dog' is not in the prompt as the model reads it: its tokens are 'three', 'over', 'a', 'cat'",
        ),
        (["--patch", "4,0"], "patch 4,0 does not exist: the picture has rows 0 to 3"),
        (["--picture", "1"], "prompt 1 does not exist: this request has prompts 0 to 0"),
        (["--block", "3"], "block 3 does not exist: the network has blocks 0 to 1"),
        (["--step", "2"], "step 2 does not exist: this sampling has steps 0 to 1"),
        (["--head", "2"], "head 2 does not exist: a layer has heads 0 to 1"),
        (["--size", "1024"], "--size 1024: this base makes pictures of 16 x 16 pixels only"),
        (["--affinity", "quer"], "--affinity quer does not exist: one of attention, output, query, key, value"),
        (["--num-inference-steps", "0"], "0 sampling steps: the base knows 1 to 1000 levels"),
        (["--guidance-scale", "nan"], "nan is not a valid guidance scale"),
        (["--clusters", "1"], "1 eigenvectors: 1 x 16 patches can be coloured by 2 to 16"),
        (["--clusters", "17"], "17 eigenvectors: 1 x 16 patches can be coloured by 2 to 16"),
        (["--prompt", "a", "--prompt", "b", "--prompt", "c"], "4 prompts: attention is shown of one to 3"),
        (["--model", "models/personal/cat"], "models/personal/cat is an adapter of a U-Net, not of Stable Diffusion 3"),
        (["--model", A, "--model", A], "two models are called blip2-zero-seed-0: name each once"),
        (["--model", "nowhere"], "nowhere does not exist: name the file or the folder of an adapter"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(sd3_workspace, arguments, line):
    given = () if arguments == ["--prompt", " "] else (PROMPT,)
    with pytest.raises(DifflabError) as error:
        show(*arguments, prompts=given)
    assert one_line(error.value).startswith(line)
    assert not [p for p in sd3_workspace.glob("out/**/*") if p.is_file()]


def test_a_patch_is_two_numbers(sd3_workspace):
    result = CliRunner().invoke(cli, ["attention", "--prompt", PROMPT, "--patch", "1"])
    assert "'1' is no patch: write ROW,COLUMN" in result.output


def test_an_adapter_of_another_base_is_refused(sd3_workspace):
    other = adapters.base("sd3")
    other.transformer.proj_out.weight.add_(1)
    adapters.study_adapter(sd3_workspace / "other", other.transformer)
    with pytest.raises(DifflabError, match=r"was trained on another base .*: fine-tune it on this base"):
        show("--model", "other")


def test_another_length_of_text_than_in_training_is_refused(sd3_workspace):
    write_json(sd3_workspace / "data/prompt_embeds/meta.json", {"clip_length": 16, "max_sequence_length": 2})
    with pytest.raises(DifflabError, match="prompts of 13 tokens: the model was trained with 2"):
        show()
    with pytest.raises(DifflabError, match="prompts of 13 tokens: the model was trained with 2"):
        run("generate", "--prompt", PROMPT, "--model", A)


def test_a_capture_that_does_not_fit_into_memory_says_what_would():
    transformer = adapters.base("sd3").transformer
    each = 2 * 4 * TOKENS * 16  # bytes of float16: query, key, value, output of all tokens, two heads of 8
    attention_capture.check_memory(transformer, 6, TOKENS, 2, free=12 * each)
    with pytest.raises(
        DifflabError, match=r"2 pictures of 45 tokens .* 7 layers and steps .*: 6 layers and steps would fit"
    ):
        attention_capture.check_memory(transformer, 7, TOKENS, 2, free=12 * each)


def test_the_adapter_is_off_again_when_a_capture_fails(sd3_workspace, monkeypatch):
    from difflab.cli.bases import find_base
    from difflab.core.params import load_params

    base = find_base("sd3", "transformer", load_params())
    pipeline = base.load()
    sampling = attention_capture.Sampling((PROMPT,), (A,), 1, 1.0)
    monkeypatch.setattr(attention_capture.PromptedSampler, "images", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attention_capture.capture(sampling, base, pipeline)
    assert not pipeline.get_list_adapters()
    assert not pipeline.transformer._forward_hooks


def test_the_command_shows_its_options():
    shown = CliRunner().invoke(cli, ["attention", "--help"])
    assert shown.exit_code == 0
    for option in ("--prompt", "--model", "--token", "--patch", "--affinity", "--block", "--step", "--head", "--keep"):
        assert option in shown.output
