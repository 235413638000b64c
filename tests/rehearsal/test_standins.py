"""Each stand-in loads by the code that loads the released model, in the released layout, and does its work."""

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.core.base import roles
from difflab.core.base.files import read_json, read_tensors
from difflab.models import blip2, instruct_captioner, pointers
from difflab.models.language.chat_model import Chat, ChatModel
from difflab.models.params import GenerationParams
from difflab.models.pipelines.prompted import Options, PromptedSampler, load_pipeline
from difflab.models.sampling.schedulers import load_scheduler
from difflab.models.title_variations import vary
from difflab.models.vision.preprocessing import Preprocessor
from difflab.personal.image_encoders import ImageEncoder
from difflab.rehearsal import published, standins
from difflab.sd3.caching.prompt_writer import TextEncoders
from rehearsal.conftest import SIZE, WIDTH, ref

PICTURES = [Image.fromarray(np.full((40, 50, 3), value, np.uint8)) for value in (20, 200)]
SETTINGS = GenerationParams(batch_size=2, max_new_tokens=6, do_sample=True, temperature=0.6, top_p=0.9)
SD3 = "stabilityai/stable-diffusion-3-medium-diffusers"


@pytest.mark.parametrize("repo_id", [r for r in published.repositories() if "pipeline" in published.repository(r)])
def test_a_pipeline_makes_pictures(snapshot, repo_id):
    sampler = PromptedSampler(load_pipeline(snapshot(repo_id)), distilled=False, seed=0, batch_size=2)
    sampler.pipeline.to(torch.float32)
    (images,) = sampler.images(["a", "b"], ["soup", "a pie"], Options("own", 2, 1.0))
    assert images.shape == (2, SIZE, SIZE, 3)
    assert not np.array_equal(images[0], images[1])


def test_the_parts_of_stable_diffusion_3_fit_the_study(snapshot):
    folder = snapshot(SD3)
    encoded = TextEncoders(folder, 77, "cpu", torch.float32).encode(["a man with a beard", ""], 2)
    transformer, vae = roles.load_transformer(folder, dtype=torch.float32), roles.load_vae(folder / "vae")
    assert transformer.config.num_layers == 24  # the adapters name its blocks
    assert transformer.config.pooled_projection_dim == encoded["pooled"].shape[1]
    assert transformer.config.joint_attention_dim == encoded["t5"].shape[2]
    assert encoded["clip_l"].shape[2] + encoded["clip_g"].shape[2] <= encoded["t5"].shape[2]
    assert vae.encode(torch.zeros(1, 3, SIZE, SIZE)).latent_dist.mean.shape[1] == transformer.config.in_channels
    assert load_scheduler(folder).config.shift == 3


def test_files_have_the_released_precision_names_and_number(snapshot):
    llama = snapshot("meta-llama/Llama-3.1-8B-Instruct")
    shards = sorted(llama.glob("model-*.safetensors"))
    assert len(shards) >= 4
    assert (llama / "model.safetensors.index.json").exists()
    assert {t.dtype for t in read_tensors(shards[0]).values()} == {torch.bfloat16}
    transformer = snapshot(SD3) / "transformer" / "diffusion_pytorch_model.safetensors"
    assert {t.dtype for t in read_tensors(transformer).values()} == {torch.float16}


def test_captions_questions_and_rewrites_are_answered(snapshot):
    captioner = blip2.load(snapshot("Salesforce/blip2-flan-t5-xl-coco"), torch.device("cpu"), torch.float32)
    assert len(captioner(PICTURES, ["a", "b"], SETTINGS, 0)) == 2
    instruct = instruct_captioner.load_instruct_captioner(snapshot("llava-hf/llava-1.5-7b-hf"), "cpu", torch.float32)
    assert len(instruct(PICTURES, "What is it?", batch_size=2, max_new_tokens=4)) == 2
    llama = ChatModel(snapshot("meta-llama/Llama-3.1-8B-Instruct"), "cpu", torch.float32)
    assert len(llama.ends) == 2
    assert len(llama.answer([Chat("a", [{"role": "user", "content": "Rewrite it."}])], SETTINGS, 0)) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gemma_gives_every_title_variations_that_can_be_read(snapshot, dtype):
    gemma = ChatModel(snapshot("google/gemma-3-1b-it"), "cpu", dtype)
    titles = {str(n): title for n, title in enumerate(["Tomato Soup", "Käsespätzle", "1. <end_of_turn> x"] * 5)}
    outcomes = vary(gemma, titles, SETTINGS, 0, retries=0, max_length=100)
    assert {outcome.variations for outcome in outcomes} == {
        ("Braised Lentils with Lemon", "Slow Cooked Lentil Stew", "Warm Lentil Bowl")
    }


@pytest.mark.parametrize("repo_id", [r for r in published.repositories() if "eyes" in published.repository(r)])
def test_pictures_are_prepared_for_the_size_of_the_network(snapshot, repo_id):
    config = read_json(snapshot(repo_id) / "config.json")
    side = config.get("vision_config", config)["image_size"]
    seen = Preprocessor(snapshot(repo_id), side, trained_here=False)(PICTURES)
    assert seen.shape == (2, 3, side, side)


def test_the_encoders_of_dreambooth_see_pictures(snapshot):
    """DINO was released pickled, without a pooling layer, and as CLIP with a preprocessor of the old names."""
    dino, clip = snapshot("facebook/dino-vits16"), snapshot("openai/clip-vit-base-patch32")
    assert {p.name for p in dino.iterdir()} == {"config.json", "preprocessor_config.json", "pytorch_model.bin"}
    assert read_json(clip / "preprocessor_config.json")["feature_extractor_type"] == "CLIPFeatureExtractor"
    images = np.stack([np.full((40, 40, 3), value, np.uint8) for value in (20, 200)])
    for folder in (dino, clip):
        features = ImageEncoder(folder)(images)
        assert features.shape == (2, WIDTH)
        assert not np.allclose(features[0], features[1])


def test_the_cache_is_found_as_that_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    hub = ref("google/vit-base-patch16-224", revision="3" * 40, allow_patterns=["config.json", "model.safetensors"])
    assert standins.write(tmp_path, hub, WIDTH, SIZE, None)
    pointers.write_pointer(tmp_path / "role", hub)
    assert read_json(tmp_path / "role/source.json")["revision"] == "3" * 40
    assert (standins.snapshot_of(tmp_path, hub) / "model.safetensors").exists()


def test_what_is_there_in_these_sizes_is_kept_and_in_others_made_anew(tmp_path):
    hub = ref("google/vit-base-patch16-224")
    assert standins.write(tmp_path, hub, WIDTH, SIZE, None)
    assert not standins.write(tmp_path, hub, WIDTH, SIZE, None)
    assert standins.write(tmp_path, hub, 2 * WIDTH, SIZE, None)
    assert read_json(standins.snapshot_of(tmp_path, hub) / "config.json")["hidden_size"] == 2 * WIDTH


def test_a_released_tokenizer_in_the_cache_is_taken(tmp_path):
    """One of the miniature plays it: the stand-in reads as it does, and has room for its tokens."""
    from transformers import AutoTokenizer

    from difflab.miniature.zoo.tokenizers import llama_tokenizer

    released = llama_tokenizer()
    released.add_tokens([f"word{n}" for n in range(50)])
    released.save_pretrained(tmp_path / "released")
    hub = ref("meta-llama/Llama-3.1-8B-Instruct")
    standins.write(tmp_path, hub, WIDTH, SIZE, tmp_path / "released")
    folder = standins.snapshot_of(tmp_path, hub)
    assert AutoTokenizer.from_pretrained(folder)("word7 word8")["input_ids"] == released("word7 word8")["input_ids"]
    assert read_json(folder / "config.json")["vocab_size"] == len(released)
    assert read_json(folder / "config.json")["eos_token_id"] == [128001, 128008, 128009]
