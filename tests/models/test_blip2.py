"""Captions by BLIP-2: alone or in batches, with T5 or OPT, in any precision."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.core.base import roles
from difflab.core.base.errors import DifflabError
from difflab.core.params.common import HubRef
from difflab.miniature.data import blend
from difflab.miniature.zoo import small_blip2 as zoo_blip2
from difflab.miniature.zoo import vit as vision
from difflab.miniature.zoo.tokenizers import base_tokenizer, corpus
from difflab.models import blip2
from difflab.models.pointers import write_pointer
from difflab.models.vision.preprocessing import Preprocessor
from fakes.tiny_blip2 import GREEDY, SMALL, a_vit, save_blip2

SAMPLED = GREEDY.model_copy(update={"do_sample": True, "top_p": 0.9})
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory):
    return save_blip2(tmp_path_factory.mktemp("zoo") / "blip2")


@pytest.fixture(scope="module")
def opt_folder(tmp_path_factory):
    """A BLIP-2 with OPT, untrained."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor, OPTConfig

    folder = tmp_path_factory.mktemp("zoo") / "opt"
    tokenizer = base_tokenizer(corpus())
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.padding_side = "left"
    images = zoo_blip2.build_processor(Preprocessor("", 32), 3).image_processor
    processor = Blip2Processor(images, tokenizer, num_query_tokens=3)
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"size": {"height": 48, "width": 48}},
            r"makes pictures \(48, 48\), the network takes \(32, 32\): correct its size",
        ),
        ({"image_std": [58.4, 57.1, 57.4]}, "image_std of its preprocessor is .*: correct image_std"),
    ],
)
def test_a_preprocessor_that_does_not_fit_is_refused_before_any_picture(t5_folder, tmp_path, change, message):
    folder = shutil.copytree(t5_folder, tmp_path / "blip2")
    path = folder / "processor_config.json"
    said = json.loads(path.read_text())
    said["image_processor"] |= change
    path.write_text(json.dumps(said))
    with pytest.raises(DifflabError, match=message):
        blip2.load(folder, CPU, torch.float32)


def test_a_t5_without_a_first_token_and_a_config_without_image_token_still_caption(t5_folder, images, tmp_path):
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
    write_pointer(tmp_path / "blip2", hub)
    assert sorted(p.name for p in (tmp_path / "blip2").iterdir()) == ["source.json"]
    captioner = blip2.load(roles.resolve(tmp_path / "blip2"), CPU, torch.float32)
    direct = blip2.load(t5_folder, CPU, torch.float32)
    assert captioner(images[:3], list("abc"), GREEDY, 0) == direct(images[:3], list("abc"), GREEDY, 0)


def test_an_absent_model_is_one_clear_line(tmp_path):
    with pytest.raises(DifflabError, match="holds no BLIP-2: run `dvc repro zoo_blip2`"):
        blip2.load(tmp_path, CPU, torch.float32)
