"""The miniature's BLIP-2: on the vision encoder's weights, saved for `from_pretrained`, trained on its captions."""

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.core.base.files import sha256_file
from difflab.core.base.store.tensors import to_tensor
from difflab.miniature.data import blend
from difflab.miniature.data.sources import digits
from difflab.miniature.data.templates import short_caption
from difflab.miniature.zoo import small_blip2
from difflab.miniature.zoo import vit as vision
from difflab.models.blip2 import Blip2Captioner
from difflab.models.vision.preprocessing import Preprocessor
from fakes import zoo

SETTINGS = zoo.blip2()
SEVENS = np.flatnonzero(digits().labels == 7)


@pytest.fixture
def vit():
    torch.manual_seed(0)
    return vision.build_vit(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=8
    ).eval()


@pytest.fixture
def processor():
    return small_blip2.build_processor(Preprocessor("", 32), SETTINGS.num_query_tokens)


@pytest.fixture
def model(vit, processor):
    return small_blip2.build(vit, processor, SETTINGS, seed=0)


@pytest.fixture
def pictures() -> list[blend.Composite]:
    return blend.batch(np.arange(6), 0, "test", 0).composites


def images_of(pictures: list[blend.Composite]) -> list[Image.Image]:
    return [Image.fromarray(picture.image) for picture in pictures]


@torch.no_grad()
def test_it_looks_through_the_vision_encoder_which_stays_frozen(vit, model, pictures):
    pixels = to_tensor([picture.image for picture in pictures], 32)
    seen = model.eval().vision_model(pixels).last_hidden_state
    torch.testing.assert_close(seen, vit(pixel_values=pixels).last_hidden_state, atol=1e-5, rtol=0)
    frozen = {name.split(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert frozen == {"vision_model"}
    assert trained == {"query_tokens", "qformer", "language_projection", "language_model"}
    assert torch.pdist(model.query_tokens[0]).min() > 1  # equal queries would stay equal


def test_the_processor_gives_the_vision_encoders_pixels(processor, pictures):
    pixels = processor(images=images_of(pictures), return_tensors="pt")["pixel_values"]
    expected = to_tensor([picture.image for picture in pictures], 32)
    torch.testing.assert_close(pixels, expected, atol=1e-6, rtol=0)


def test_labels_spell_the_caption_and_end(processor, pictures):
    captions = [short_caption(picture.attributes) for picture in pictures]
    labels = small_blip2.caption_labels(processor, captions)
    for row, caption in zip(labels, captions, strict=True):
        tokens = row[row != -100]
        assert processor.tokenizer.decode(tokens, skip_special_tokens=True) == caption
        assert tokens[-1] == processor.tokenizer.eos_token_id
    assert (labels == -100).any()


def test_the_loss_is_the_mean_cross_entropy_of_the_captions_tokens(model, processor, vit):
    loss = small_blip2.batch_loss(model.eval(), processor, SEVENS, 0, SETTINGS)(step=4)["loss"]
    drawn = small_blip2.rng.numpy_rng(0, "zoo blip2 digits", 4).choice(SEVENS, 16)
    pictures = blend.batch(drawn, 0, "zoo blip2", 4).composites
    total, count = 0.0, 0
    for picture in pictures:  # one by one, without padding
        labels = processor.tokenizer(short_caption(picture.attributes), return_tensors="pt").input_ids
        output = model(
            pixel_values=to_tensor([picture.image], 32),
            input_ids=torch.tensor([small_blip2.prompt_ids(model)]),
            decoder_input_ids=torch.cat([torch.tensor([[0]]), labels[:, :-1]], dim=1),
        )
        log_probabilities = output.logits.log_softmax(-1)
        total -= log_probabilities.gather(2, labels[..., None]).sum().item()
        count += labels.numel()
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


@torch.no_grad()
def test_saved_twice_it_has_the_same_bytes_and_loads_offline(model, processor, pictures, tmp_path):
    from transformers import AutoModelForImageTextToText, AutoProcessor, Blip2ForConditionalGeneration

    for name in ("a", "b"):
        zoo.save(tmp_path / name, model.eval(), processor)
    assert sha256_file(tmp_path / "a") == sha256_file(tmp_path / "b")
    loaded = Blip2ForConditionalGeneration.from_pretrained(tmp_path / "a")
    assert type(AutoModelForImageTextToText.from_pretrained(tmp_path / "a")) is type(loaded)
    again = AutoProcessor.from_pretrained(tmp_path / "a")
    assert again.num_query_tokens == SETTINGS.num_query_tokens
    assert again.tokenizer.convert_tokens_to_ids("<image>") == loaded.config.image_token_index
    inputs = again(images=images_of(pictures), return_tensors="pt")
    expected = model.generate(**inputs, max_new_tokens=8, do_sample=False)
    assert torch.equal(loaded.generate(**inputs, max_new_tokens=8, do_sample=False), expected)


def test_training_teaches_the_caption_and_leaves_the_vision_encoder_alone(model, processor, vit, tmp_path):
    from difflab.training.supervised import fit

    before = {name: value.clone() for name, value in model.vision_model.state_dict().items()}
    loss = small_blip2.batch_loss(model, processor, SEVENS, 0, SETTINGS)
    fit(model, loss, SETTINGS.training, scratch=tmp_path, what="blip2")
    assert all(torch.equal(value, before[name]) for name, value in model.vision_model.state_dict().items())
    metrics = small_blip2.held_out_accuracy(model.eval(), processor, SEVENS[:20], seed=1)
    assert metrics["n"] == 20
    assert metrics["digit_accuracy"] == 1  # every picture shows a seven
    picture = blend.batch(SEVENS[:1], 3, "test", 0).composites
    settings = small_blip2.GREEDY
    (caption,) = Blip2Captioner(model, processor)(images_of(picture), ["a"], settings, seed=0)
    assert caption.startswith("a handwritten seven over a photo of ")
