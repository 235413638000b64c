"""CLIP score against the model's own embeddings, and the judge of sweeps."""

import numpy as np
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
)

from difflab.captioning.sweep_cells import SweepJudge
from difflab.metrics.clip_score import ClipScorer
from difflab.miniature.zoo.tokenizers import clip_tokenizer

TEXTS = ["three over a cat", "a rocket", "coffee"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, tokenizer = tmp_path_factory.mktemp("clip"), clip_tokenizer(16)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = CLIPTextConfig(vocab_size=len(tokenizer), max_position_embeddings=16, **small, **ids)
    vision = CLIPVisionConfig(image_size=16, patch_size=8, **small)
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    size = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
    CLIPProcessor(CLIPImageProcessor(**size), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def images():
    return list(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))


def test_it_is_the_mean_of_a_hundred_times_the_positive_cosines(folder, images):
    scorer = ClipScorer(folder)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    mean, std = (
        torch.tensor(v).view(3, 1, 1)
        for v in ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    )
    with torch.no_grad():
        seen = scorer.model.vision_model((pixels - mean) / std).pooler_output
        seen = scorer.model.visual_projection(seen)
        ids = scorer.processor.tokenizer(TEXTS, padding="max_length", return_tensors="pt").input_ids
        read = scorer.model.text_projection(scorer.model.text_model(ids).pooler_output)
    cosines = [max(0.0, torch.dot(a, b).item() / (a.norm() * b.norm()).item()) for a, b in zip(seen, read, strict=True)]
    assert scorer(images, TEXTS) == pytest.approx(100 * sum(cosines) / 3, rel=1e-4)


def test_pictures_are_resized_by_pillow_as_published(folder):
    """torchvision's filter, which transformers prefers where it is installed, rounds otherwise."""
    large = list(np.random.default_rng(1).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8))
    scorer = ClipScorer(folder)
    right = AutoImageProcessor.from_pretrained(folder, backend="pil")(large, return_tensors="pt")["pixel_values"]
    assert torch.equal(scorer.preprocess(large), right)


def test_a_long_text_is_cut_not_an_error(folder, images):
    assert 0 <= ClipScorer(folder)(images[:1], [" ".join(["a"] * 40)]) <= 100


def test_the_judge_gives_the_scores_that_can_be_had(folder, images):
    assert SweepJudge(None, None, None, seed=0)(images, TEXTS) == {}
    assert list(SweepJudge(None, None, ClipScorer(folder), seed=0)(images, TEXTS)) == ["clip_score"]
