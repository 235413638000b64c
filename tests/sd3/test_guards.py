"""Fine-tuning and generation refuse caches, models and captions that do not belong together."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from difflab.core.base.errors import DifflabError
from fakes import sd3_study


def finetune(captions="blip2"):
    from stages.sd3.finetune import main

    shutil.rmtree("scratch", ignore_errors=True)
    stage = sd3_study.Sd3Stage()
    main(stage, captions=captions, logit_mean="zero")
    return stage


def generate(adapter):
    from stages.sd3.generate import main

    shutil.rmtree("scratch", ignore_errors=True)
    stage = sd3_study.Sd3Stage()
    main(stage, adapter=adapter)
    return stage


@pytest.fixture(scope="module", params=["trained", "released"])
def fine_tuned(request, root, tmp_path_factory):
    """Both cells of one mean, on a base that the pipeline trained or a released one."""
    folder = tmp_path_factory.mktemp("study")
    sd3_study.make_study(folder, released=request.param == "released")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        patch.chdir(folder)
        for captions in sd3_study.PUBLISHED:
            assert "held-out loss" in finetune(captions).said
    return folder


@pytest.fixture
def study(fine_tuned, root, tmp_path, monkeypatch):
    shutil.copytree(fine_tuned, tmp_path, dirs_exist_ok=True)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(run, *args) -> str:
    with pytest.raises(DifflabError) as caught:
        run(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_belongs_together_is_taken(study):
    for adapter in ("pretrained", "zero"):
        assert "2 images for each of 2 kinds" in generate(adapter).said


def test_latents_of_another_autoencoder(study):
    sd3_study.save_vae(study, seed=1)
    message = refused(finetune)
    assert message.startswith("the latents were made by autoencoder ")
    assert message.endswith(": run `dvc repro cache_latents`")


def test_another_autoencoder_than_the_one_trained_with(study):
    """Latents are no help to generation: the base and the adapter know their autoencoder."""
    recorded = (study / "models/zoo/transformer/components.json").exists()
    sd3_study.save_vae(study, seed=1)
    sd3_study.cache_latents(study)
    message = refused(generate, "zero")
    assert "was trained with another autoencoder" in message
    assert message.startswith("models/zoo/transformer" if recorded else "models/finetune/blip2-zero/")
    if recorded:
        assert refused(finetune) == refused(generate, "pretrained") == message


@pytest.mark.parametrize("run", [finetune, lambda: generate("zero"), lambda: generate("pretrained")])
def test_embeddings_of_other_text_encoders(study, run):
    sd3_study.save_text(study, "b")
    message = refused(run)
    assert message.startswith("data/prompt_embeds was made by encoders ")
    assert message.endswith(": run `dvc repro cache_prompts`")


def test_other_text_encoders_than_those_trained_with(study):
    sd3_study.save_text(study, "b")
    sd3_study.cache_prompts(study)
    assert "was trained with other text encoders" in refused(generate, "zero")


@pytest.mark.parametrize("run", [finetune, lambda: generate("zero"), lambda: generate("pretrained")])
def test_other_captions(study, run):
    sd3_study.save_captions(study, "blip2", "a dog")
    assert refused(run).startswith("data/prompt_embeds does not hold the present 'blip2' caption of hq-00000")


def test_captions_of_the_other_kind_do_not_matter_to_a_cell(study):
    sd3_study.save_captions(study, "llama3", "a dog")
    assert "held-out loss" in finetune("blip2").said
    assert "'llama3' caption" in refused(generate, "zero")


def test_an_adapter_for_both_kinds_of_captions_knows_both(study):
    assert "wrote models/finetune/both-zero" in finetune("both").said
    stage = sd3_study.Sd3Stage()
    stage.params.trained_on = {"blip2": "both", "llama3": "both"}
    for kind in sd3_study.PUBLISHED:  # which are then not used
        shutil.rmtree(f"models/finetune/{kind}-zero")
    from stages.sd3.generate import main

    shutil.rmtree("scratch", ignore_errors=True)
    main(stage, adapter="zero")
    assert {p.as_posix() for p in Path("data/generated/zero").rglob("*.zip")} == {
        f"data/generated/zero/{kind}/training-0.zip" for kind in sd3_study.PUBLISHED
    }
    sd3_study.save_captions(study, "llama3", "a dog")
    assert "'llama3' caption" in refused(finetune, "both")


def test_adapters_of_another_base(study):
    from fakes.flow import tiny_transformer

    other = tiny_transformer(seed=1, joint_attention_dim=12, pooled_projection_dim=5)
    other.save_pretrained(study / "models/zoo/transformer/transformer")
    assert "blip2-zero/seed-0/pytorch_lora_weights.safetensors was trained on another base" in refused(generate, "zero")
    assert "wrote" in generate("pretrained").said


@pytest.mark.parametrize("split", ["train", "val"])
def test_latents_of_other_images(study, split):
    names = {"train": 0, "val": 5}
    other = sd3_study.make_store(Path("other"), "hq", 6, size=16, held_out=2, start=1)
    changed = f"hq-{names[split]:05d}"
    index = pd.read_parquet("data/celeba_hq/index.parquet")
    index.loc[index["id"] == changed, "sha256"] = other.sha256(changed)
    index.to_parquet("data/celeba_hq/index.parquet")
    assert refused(finetune).startswith(f"the cached latents of {changed} are of other image bytes")
