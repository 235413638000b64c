"""The captioner: what its language model reads, what is learnt, and captions that depend on their picture alone."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from difflab.captioning.captioner_model.visual_prefix import Captioner, pooled
from difflab.core.base.errors import DifflabError
from fakes import tiny_captioner as tiny

CAPTIONS = ["Three", "The Digit Three over Coffee", "Coffee with a Three on Top"]


@pytest.fixture
def captioner():
    return tiny.captioner()


@pytest.fixture
def features(captioner):
    return captioner.encode(tiny.images(len(CAPTIONS)))


def sequence(captioner, features, caption):
    """What is read for one picture: embeddings [1, length, hidden] and labels, written out by hand."""
    tokens = captioner.tokenizer(caption, add_special_tokens=False)["input_ids"]
    tokens = torch.tensor([[*tokens, captioner.tokenizer.eos_token_id]])
    prefix = captioner.prefix(features)
    embeds = torch.cat([prefix, captioner.language_model.get_input_embeddings()(tokens)], dim=1)
    return embeds, torch.cat([torch.full(prefix.shape[:2], -100), tokens], dim=1)


def test_the_language_model_reads_one_start_token_the_picture_the_caption_and_its_end(captioner, features):
    seen = {}
    hook = captioner.language_model.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    captioner.token_losses(features[:1], CAPTIONS[:1])
    hook.remove()
    table = captioner.language_model.get_input_embeddings().weight
    read = seen["inputs_embeds"][0]
    words = [next((i for i, row in enumerate(table) if torch.equal(row, e)), None) for e in read]
    start, end = captioner.tokenizer.bos_token_id, captioner.tokenizer.eos_token_id
    caption = captioner.tokenizer(CAPTIONS[0])["input_ids"][1:]  # the tokenizer puts the start token in front
    assert words == [start, *[None] * 5, *caption, end]
    assert words.count(start) == 1
    assert seen["attention_mask"].tolist() == [[1] * len(words)]


def test_the_loss_is_that_of_the_language_model_on_the_caption_and_its_end(captioner, features):
    """Against transformers' own loss, one picture at a time; the batch pads its captions."""
    losses = captioner.token_losses(features, CAPTIONS)
    start = 0
    for i, caption in enumerate(CAPTIONS):
        embeds, labels = sequence(captioner, features[i : i + 1], caption)
        expected = captioner.language_model(inputs_embeds=embeds, labels=labels).loss
        count = int((labels != -100).sum())
        torch.testing.assert_close(losses[start : start + count].mean(), expected)
        start += count
    assert len(losses) == start


def test_the_end_is_learnt_even_where_padding_is_the_same_token(captioner, features):
    """Llama has no padding token; labels that leave out every token of that name would leave out the end."""
    assert captioner.tokenizer.pad_token_id is None
    assert captioner.pad_token_id == captioner.tokenizer.eos_token_id
    tokens = [captioner.tokenizer(c, add_special_tokens=False)["input_ids"] for c in CAPTIONS]
    assert len(captioner.token_losses(features, CAPTIONS)) == sum(len(row) + 1 for row in tokens)


def test_what_pads_is_indifferent(captioner, features):
    losses = captioner.token_losses(features, CAPTIONS)
    captioner.pad_token_id = 17
    assert torch.equal(captioner.token_losses(features, CAPTIONS), losses)


def test_an_empty_caption_is_its_end_alone(captioner, features):
    assert len(captioner.token_losses(features[:1], [""])) == 1


def test_every_target_has_one_adapter_and_nothing_else_of_the_bases_learns(captioner):
    adapted = [name for name, module in captioner.language_model.named_modules() if hasattr(module, "lora_A")]
    assert len(adapted) == tiny.LAYERS * len(tiny.TARGETS)
    assert not [name for name in adapted if "base_layer" in name]
    layers = dict(captioner.language_model.named_modules())
    assert all(list(layers[name].lora_A) == ["default"] for name in adapted)
    shapes = [layers[name].base_layer.weight.shape for name in adapted]
    projector = tiny.WIDTH * tiny.HIDDEN + tiny.HIDDEN + tiny.HIDDEN**2 + tiny.HIDDEN
    trained = {n: p for n, p in captioner.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trained.values()) == 2 * sum(a + b for a, b in shapes) + projector
    assert all("lora_" in name or name.startswith("projector.") for name in trained)


def test_a_language_model_is_adapted_once():
    model = tiny.language_model()
    Captioner(tiny.encoder(), model, tiny.tokenizer(), tiny.params(), seed=0)
    with pytest.raises(DifflabError, match="has an adapter already: load it anew"):
        Captioner(tiny.encoder(), model, tiny.tokenizer(), tiny.params(), seed=0)


def test_a_new_adapter_changes_nothing(features):
    fresh = tiny.captioner(awake=False)
    embeds, _ = sequence(fresh, features[:1], CAPTIONS[1])
    expected = tiny.language_model()(inputs_embeds=embeds).logits
    assert torch.equal(fresh.language_model(inputs_embeds=embeds).logits, expected)


@pytest.mark.parametrize("alpha", [2, 16])
def test_the_update_is_scaled_by_alpha_over_rank(alpha):
    made = tiny.captioner(lora={"alpha": alpha, "rank": 2, "dropout": 0})
    layer = made.language_model.model.layers[0].mlp.up_proj
    x = torch.randn(3, tiny.HIDDEN)
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    torch.testing.assert_close(layer(x), layer.base_layer(x) + alpha / 2 * x @ a.T @ b.T)


def test_start_weights_belong_to_the_seed():
    first, again, other = (tiny.captioner(awake=False, seed=seed).projector[1].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_trained_is_float32_on_bfloat16_bases():
    language, vit = tiny.language_model().to(torch.bfloat16), tiny.encoder().to(torch.bfloat16)
    made = Captioner(vit, language, tiny.tokenizer(), tiny.params(), seed=0)
    assert {p.dtype for p in made.parameters() if p.requires_grad} == {torch.float32}
    seen = made.encode(tiny.images(2))
    assert seen.dtype == torch.bfloat16
    made.token_losses(seen, CAPTIONS[:2]).mean().backward()
    assert made.projector[1].weight.grad.abs().sum() > 0


def test_training_leaves_the_encoder_in_eval_mode(captioner):
    captioner.train()
    assert captioner.projector.training
    assert not any(module.training for module in captioner.encoder.modules())


def test_features_are_the_last_hidden_states_for_images_of_any_kind(captioner):
    """Against the ViT itself, on pixels scaled by hand."""
    pictures = tiny.images(70)
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        hidden = captioner.encoder(pixel_values=pixels).last_hidden_state
    whole = tiny.captioner(patch_pooling=1)
    torch.testing.assert_close(whole.encode(pictures), hidden)
    assert torch.equal(whole.encode([Image.fromarray(p) for p in pictures]), whole.encode(pictures))
    grey = Image.fromarray(pictures[0, :, :, 0])
    wide = Image.fromarray(np.repeat(tiny.images(1, side=40)[0], 2, axis=1))
    assert whole.encode([grey, wide]).shape == (2, 17, tiny.WIDTH)


def test_squares_of_patches_are_averaged_and_the_first_token_stays():
    """A grid of 4 x 4: the upper right square is patches 2, 3, 6 and 7."""
    hidden = torch.randn(2, 17, 5)
    made = pooled(hidden, 2)
    assert made.shape == (2, 5, 5)
    assert torch.equal(made[:, 0], hidden[:, 0])
    torch.testing.assert_close(made[:, 2], hidden[:, 1:][:, [2, 3, 6, 7]].mean(1))
    torch.testing.assert_close(pooled(hidden, 4)[:, 1], hidden[:, 1:].mean(1))
    assert torch.equal(pooled(hidden, 1), hidden)


def test_greedy_captions_are_the_most_likely_tokens(captioner, features):
    """Against a plain loop without cache or batch; the model's own wish to sample is overruled."""
    end = captioner.tokenizer.eos_token_id
    for i in range(len(features)):
        embeds, tokens = captioner.prefix(features[i : i + 1]), []
        while len(tokens) < 7 and end not in tokens:
            logits = captioner.language_model(inputs_embeds=embeds).logits[0, -1]
            tokens.append(int(logits.argmax()))
            word = captioner.language_model.get_input_embeddings()(torch.tensor([tokens[-1:]]))
            embeds = torch.cat([embeds, word], dim=1)
        (caption,) = captioner.write(features[i : i + 1], tiny.decoding())
        assert caption == captioner._text(tokens)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_caption_does_not_depend_on_its_batch(captioner, num_beams):
    pictures = tiny.images(10)
    together = captioner.captions_of(pictures, tiny.decoding(batch_size=10, num_beams=num_beams))
    for batch_size in (1, 4):
        settings = tiny.decoding(batch_size=batch_size, num_beams=num_beams)
        assert captioner.captions_of(pictures, settings) == together
    backwards = captioner.captions_of(pictures[::-1].copy(), tiny.decoding(num_beams=num_beams))
    assert backwards == together[::-1]
    assert len(set(together)) > 5


def test_beams_find_the_likeliest_caption_among_all(captioner, features):
    """Of two tokens, with as many beams as there are first tokens: a search through every pair."""
    vocabulary, end = len(captioner.tokenizer), captioner.tokenizer.eos_token_id
    prefix = captioner.prefix(features[:1])
    first = captioner.language_model(inputs_embeds=prefix).logits[0, -1].log_softmax(-1)
    words = captioner.language_model.get_input_embeddings()(torch.arange(vocabulary))[:, None]
    both = torch.cat([prefix.expand(vocabulary, -1, -1), words], dim=1)
    second = captioner.language_model(inputs_embeds=both).logits[:, -1].log_softmax(-1)
    mean = (first[:, None] + second) / 2  # of the log-likelihood over tokens, as beams are compared
    mean[end] = float("-inf")
    best = divmod(int(mean.argmax()), vocabulary)
    if first[end] > mean.max():
        best = (end,)
    found = captioner.write(features[:1], tiny.decoding(max_new_tokens=2, num_beams=vocabulary))
    assert found == [captioner._text(list(best))]


def test_a_caption_is_its_first_line_up_to_the_end_token(captioner):
    end = captioner.tokenizer.eos_token_id

    def tokens(text):
        return captioner.tokenizer(text, add_special_tokens=False)["input_ids"]

    assert captioner._text([*tokens("  Three  over Coffee "), end, *tokens(" Coffee"), end]) == "Three over Coffee"
    assert captioner._text(tokens("\n \nThree\nCoffee")) == "Three"
    assert captioner._text(tokens("Three over")) == "Three over"  # cut at max_new_tokens
    assert captioner._text([end]) == ""


def test_dropout_is_for_training_alone(captioner, features):
    captioner.train()
    captions = captioner.write(features, tiny.decoding())
    assert captions == captioner.eval().write(features, tiny.decoding())
    assert isinstance(captioner.projector[0], nn.Dropout)


def test_an_unknown_target_is_one_line():
    with pytest.raises(
        DifflabError, match=r"captioner\.lora\.targets: 'query' matches no linear layer; the nearest are .*q_proj"
    ):
        tiny.captioner(lora={"targets": ["q_proj", "query"]})


def test_patches_that_make_no_squares_are_one_line():
    with pytest.raises(DifflabError, match="patch_pooling is 3: the 4 x 4 patches"):
        tiny.captioner(patch_pooling=3)
