"""Images for prompts belong to ids and prompts; options that a model cannot take are refused with the reason."""

import numpy as np
import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.models.pipelines.prompted import Options, PromptedSampler, components
from difflab.models.sampling.latent_images import initial_noise
from difflab.models.sampling.schedulers import pipeline_scheduler
from fakes import tiny_pipelines

IDS = [f"recipes-train-{n:05d}-v{n % 3}" for n in (3, 4, 8, 15)]
PROMPTS = ["three over a cat", "a rocket", "nine on coins and coffee", "the digit one"]
WAYS = [("sd", "ddpm"), ("sd", "ddim"), ("sd", "euler"), ("sd", "dpm++"), ("sdxl", "own"), ("sd3", "flow-match")]


@pytest.fixture(scope="module")
def pipelines():
    return {kind: tiny_pipelines.pipeline(kind) for kind in tiny_pipelines.KINDS}


def options(scheduler="ddim", steps=4, guidance=3.0, negative="") -> Options:
    return Options(scheduler, steps, guidance, negative)


def images(pipeline, chosen, ids=IDS, prompts=PROMPTS, batch_size=4, seed=0, distilled=False) -> np.ndarray:
    sampler = PromptedSampler(pipeline, distilled=distilled, seed=seed, batch_size=batch_size)
    return np.concatenate(list(sampler.images(ids, prompts, chosen)))


def same_to_rounding(a: np.ndarray, b: np.ndarray) -> bool:
    difference = np.abs(a.astype(int) - b)
    return difference.max() <= 1 and (difference > 0).mean() < 0.01


@pytest.mark.parametrize(("kind", "scheduler"), WAYS)
def test_a_batch_of_four_is_four_of_one_in_any_order(pipelines, kind, scheduler):
    chosen = options(scheduler, negative="blurred")
    whole = images(pipelines[kind], chosen)
    assert whole.shape == (4, 16, 16, 3)
    assert whole.dtype == np.uint8
    assert min(np.abs(whole[0].astype(int) - other).mean() for other in whole[1:]) > 5
    assert same_to_rounding(images(pipelines[kind], chosen, batch_size=1), whole)
    backwards = images(pipelines[kind], chosen, IDS[::-1], PROMPTS[::-1], batch_size=3)
    assert same_to_rounding(backwards[::-1], whole)


@pytest.mark.parametrize(("kind", "scheduler"), WAYS)
def test_the_same_call_gives_the_same_bits_and_another_seed_other_images(pipelines, kind, scheduler):
    """DDIM at eta 0 among them; what was drawn from torch's own generator in between does not matter."""
    first = images(pipelines[kind], options(scheduler))
    torch.rand(7)
    assert np.array_equal(images(pipelines[kind], options(scheduler)), first)
    assert np.abs(images(pipelines[kind], options(scheduler), seed=1).astype(int) - first).mean() > 2


@torch.no_grad()
def by_hand(pipeline, guidance: float, negative: str) -> np.ndarray:
    """DDIM of a v-predicting Stable Diffusion from its formulas (Song et al. 2021, equation 12, eta 0)."""
    tokens = [
        pipeline.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        for texts in (PROMPTS, [negative] * 4)
    ]
    text, empty = (pipeline.text_encoder(ids).last_hidden_state for ids in tokens)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    abar = torch.cumprod(1 - betas, 0)
    x = initial_noise(IDS, (4, 4, 4), 0, 0)
    for t in (751, 501, 251, 1):
        v = pipeline.unet(x, t, encoder_hidden_states=text).sample
        if guidance != 1:
            without = pipeline.unet(x, t, encoder_hidden_states=empty).sample
            v = without + guidance * (v - without)
        a, before = abar[t].float(), abar[max(t - 250, 0)].float()
        x0, noise = a.sqrt() * x - (1 - a).sqrt() * v, a.sqrt() * v + (1 - a).sqrt() * x
        x = before.sqrt() * x0 + (1 - before).sqrt() * noise
    pixels = pipeline.vae.decode(x / 0.5).sample.permute(0, 2, 3, 1)
    return ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def test_guidance_one_is_the_unguided_model(pipelines):
    assert same_to_rounding(images(pipelines["sd"], options(guidance=1.0)), by_hand(pipelines["sd"], 1.0, ""))


def test_guidance_leads_from_the_negative_prompt_to_the_prompt(pipelines):
    made = images(pipelines["sd"], options(guidance=4.0, negative="blurred"))
    assert same_to_rounding(made, by_hand(pipelines["sd"], 4.0, "blurred"))
    assert np.abs(made.astype(int) - images(pipelines["sd"], options(guidance=4.0))).mean() > 1


@pytest.mark.parametrize(("kind", "scheduler"), [("sdxl", "own"), ("sd3", "flow-match"), ("sd", "own")])
def test_images_are_those_of_the_pipeline_for_the_same_noise(pipelines, kind, scheduler):
    """SDXL among them, which is guided by zeros where there is no negative prompt."""
    noise = initial_noise(IDS, (4, 4, 4), 0, 0)
    for negative in ("", "blurred"):
        given = {"negative_prompt": [negative] * 4} if negative else {}
        theirs = pipelines[kind](
            PROMPTS, num_inference_steps=4, guidance_scale=3.0, latents=noise, output_type="np", **given
        ).images
        made = images(pipelines[kind], options(scheduler, negative=negative))
        assert same_to_rounding(made, np.rint(theirs * 255).astype(np.uint8))


def test_the_noise_is_shared_by_all_options_and_prompts(pipelines, monkeypatch):
    """The pipeline is given the noise of each id, whatever is to be made of it."""
    seen = []
    pipeline = pipelines["sd"]
    original = pipeline.prepare_latents

    def prepare_latents(*args):
        seen.append(args[-1])
        return original(*args)

    monkeypatch.setattr(pipeline, "prepare_latents", prepare_latents)
    for chosen in (options("ddpm"), options("euler", steps=2), options(guidance=9.0, negative="dark")):
        images(pipeline, chosen)
        images(pipeline, chosen, prompts=PROMPTS[::-1])
    assert all(torch.equal(noise, initial_noise(IDS, (4, 4, 4), 0, 0)) for noise in seen)
    assert len(seen) == 6


def test_the_noise_of_later_steps_is_keyed_by_id(pipelines, monkeypatch):
    keys = []
    scheduler = type(pipeline_scheduler("ddpm", pipelines["sd"].scheduler))
    original = scheduler.step

    def step(self, *args, generator, **kwargs):
        keys.append([g.initial_seed() for g in generator])
        return original(self, *args, generator=generator, **kwargs)

    monkeypatch.setattr(scheduler, "step", step)
    images(pipelines["sd"], options("ddpm", steps=2))
    assert keys == [rng.fold(rng.id_keys(IDS), rng.key(0, "step noise")).tolist()] * 2
    assert len(set(keys[0])) == 4


@pytest.mark.parametrize(
    ("kind", "distilled", "chosen", "reason"),
    [
        ("sd", True, options(guidance=7.5), "guidance 7.5: the model was distilled to do without, take 1"),
        ("sd", True, options(guidance=1.0, negative="dark"), "a negative prompt: it acts through guidance, which this"),
        ("sd", False, options(guidance=1.0, negative="dark"), "a negative prompt at guidance 1"),
        ("sd", False, options(guidance=0.5), "guidance 0.5: the least is 1, which is none"),
        ("sd3", False, options("ddpm"), "ddpm: a flow model predicts velocities on straight paths, take flow-match"),
        ("sd3", True, options("own", guidance=2.0), "distilled"),
        ("sdxl", False, options("flow-match"), "flow-match: the model was not trained on straight paths"),
        ("sd", False, options(steps=0), "0 steps: the model knows 1 to 1000 levels"),
        ("sd", False, options(steps=1001), "1001 steps"),
    ],
)
def test_what_a_model_cannot_take_is_refused_with_the_reason(pipelines, kind, distilled, chosen, reason):
    sampler = PromptedSampler(pipelines[kind], distilled=distilled, seed=0, batch_size=4)
    assert reason in sampler.refusal(chosen)
    with pytest.raises(DifflabError, match="the model refuses"):
        next(sampler.images(IDS, PROMPTS, chosen))


def test_what_a_model_can_take_is_not_refused(pipelines):
    for kind, distilled, chosen in (
        ("sd", True, options("own", steps=1, guidance=1.0)),
        ("sd", False, options("ddpm", steps=75, guidance=15.0, negative="dark")),
        ("sd3", True, options("own", guidance=1.0)),
        ("sdxl", False, options("dpm++", steps=150)),
    ):
        sampler = PromptedSampler(pipelines[kind], distilled=distilled, seed=0, batch_size=4)
        assert sampler.refusal(chosen) == ""


def test_an_unknown_scheduler_is_named_with_the_known_ones(pipelines):
    sampler = PromptedSampler(pipelines["sd"], distilled=False, seed=0, batch_size=4)
    with pytest.raises(DifflabError, match=r"unknown scheduler 'dpm': one of own, ddpm, ddim, euler, dpm\+\+"):
        sampler.refusal(options("dpm"))


def test_a_too_long_prompt_says_how_much_is_truncated(pipelines):
    """The miniature's tokenizer knows these words as one token each; two of its 16 are start and end."""
    sampler = PromptedSampler(pipelines["sd"], distilled=False, seed=0, batch_size=4)
    assert sampler.truncation(" ".join(["a"] * 14)) == ""
    told = sampler.truncation(" ".join(["a"] * 14 + ["red", "cat"]))
    assert told == "18 tokens, of which the model reads 16: 'red cat' is truncated"


def test_the_encoder_that_reads_most_decides_what_is_truncated(pipelines):
    """Stable Diffusion 3 reads a long prompt through its T5, of which it gets 256 tokens."""
    sampler = PromptedSampler(pipelines["sd3"], distilled=False, seed=0, batch_size=4)
    assert sampler.truncation(" ".join(["a"] * 250)) == ""
    assert "of which the model reads 256" in sampler.truncation(" ".join(["a"] * 300))


def test_images_that_are_not_finite_are_an_error(monkeypatch):
    pipeline = tiny_pipelines.pipeline("sd")
    pipeline.unet.conv_out.bias.fill_(float("nan"))
    with pytest.raises(DifflabError, match=r"is not finite .*: set runtime.dtype"):
        images(pipeline, options())


def test_a_component_without_a_class_is_damage():
    assert components({"_class_name": "a", "unet": ["diffusers", "UNet2DConditionModel"], "vae": [None, None]}).keys() == {
        "unet", "vae",
    }  # fmt: skip
    with pytest.raises(DifflabError, match=r"model_index.json is damaged \('unet' has no library and class\)"):
        components({"unet": ["diffusers"]})
