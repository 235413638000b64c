"""The miniature's Stable Diffusion: its pictures and titles belong together, its loss is that of v, and it loads whole."""

import numpy as np
import pytest
import torch

from difflab.core.base import rng
from difflab.miniature.archives.set_pictures import titled, untitled_digits
from difflab.miniature.data.sources import digits
from difflab.miniature.zoo import prompt_encoder, small_diffusion
from difflab.miniature.zoo.tokenizers import clip_tokenizer
from difflab.models.pipelines.prompted import Options, PromptedSampler, load_pipeline
from difflab.training.supervised import fit
from fakes.small_diffusion import new_vae, params

DIGITS = np.arange(40)
TOKENIZER = clip_tokenizer(22)


@pytest.fixture(scope="module")
def vae():
    return new_vae()


@pytest.fixture(scope="module")
def pictures(vae):
    return small_diffusion.draw_pictures(vae, DIGITS, params(), seed=0)


@pytest.fixture(scope="module")
def text():
    """Every prompt, and what an untrained encoder makes of it."""
    prompts = prompt_encoder.all_prompts(TOKENIZER)
    return prompts, prompt_encoder.embed(prompt_encoder.build(params(), TOKENIZER, 0).encoder.eval(), prompts)


def test_it_learns_from_digits_that_no_recipe_shows():
    shown = {int(row) for row in np.setdiff1d(np.arange(len(digits().labels)), untitled_digits(0))}
    assert len(shown) == len(titled(0)) == 1320
    assert len(untitled_digits(0)) == 1797 - 1320
    assert set(np.unique(digits().labels[untitled_digits(0)])) == set(range(10))


def test_composites_come_first_then_plain_digits(pictures):
    assert pictures.latents.shape == (32, 6, 4, 4)
    assert (pictures.photos[:24] >= 0).all()
    assert (pictures.photos[24:] == -1).all()
    assert set(pictures.digits.tolist()) <= set(digits().labels[DIGITS].tolist())


def test_latents_have_unit_variance_and_no_shift_as_the_pipeline_expects(vae, pictures):
    assert vae.config.shift_factor is None
    assert pictures.latents[:24].std().item() == pytest.approx(1, abs=1e-4)


def test_plain_digits_give_way_to_composites():
    settings = params(training=params().training.model_copy(update={"steps": 100}))
    shares = [small_diffusion.plain_share(step, settings) for step in (0, 25, 50, 99)]
    assert shares == pytest.approx([0.75, 0.375, 0, 0])


def test_the_loss_is_the_squared_error_of_v(vae, pictures, text):
    """Against the formulas, with noise and timesteps drawn again; at step 0 six of eight are plain digits."""
    prompts, hidden = text
    settings = params(prompt_dropout=0.0)
    seen = []

    class Unet(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, x, t, encoder_hidden_states, return_dict):
            seen.append((x, t, encoder_hidden_states))
            return (0.3 * x,)

    loss = small_diffusion.batch_loss(Unet(), pictures, prompts, hidden, settings, seed=0)(0)["loss"]
    ((x, t, told),) = seen
    assert sorted((t // 125).tolist()) == list(range(8))  # spread evenly
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    abar = torch.cumprod(1 - betas, 0).float()[t].view(-1, 1, 1, 1)
    noise = torch.randn(x.shape, generator=rng.torch_generator(0, "zoo diffusion noise", 0))
    x0 = (x - (1 - abar).sqrt() * noise) / abar.sqrt()
    v = abar.sqrt() * noise - (1 - abar).sqrt() * x0
    torch.testing.assert_close(loss, (0.3 * x - v).square().mean(), rtol=1e-4, atol=1e-5)

    rows = [(pictures.latents - one).abs().flatten(1).amax(1).argmin().item() for one in x0]
    assert sum(row >= 24 for row in rows) == 6
    for row, states in zip(rows, told, strict=True):
        prompt = (hidden - states).abs().flatten(1).amax(1).argmin()
        assert prompts.digits[prompt] == pictures.digits[row]
        assert prompts.photos[prompt] == pictures.photos[row]


def test_dropped_prompts_are_empty(pictures, text):
    prompts, hidden = text
    told = []

    class Unet(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, x, t, encoder_hidden_states, return_dict):
            told.append(encoder_hidden_states)
            return (x,)

    small_diffusion.batch_loss(Unet(), pictures, prompts, hidden, params(prompt_dropout=1.0), seed=0)(3)
    assert (told[0] == hidden[prompts.empty_row]).all()


def test_a_batch_belongs_to_seed_and_step(vae, pictures, text):
    prompts, hidden = text
    unet = small_diffusion.build(params(), vae, 0)

    def value(step: int, seed: int = 0) -> float:
        return small_diffusion.batch_loss(unet, pictures, prompts, hidden, params(), seed)(step)["loss"].item()

    assert value(3) == value(3)
    assert len({value(3), value(4), value(3, seed=1)}) == 3


def test_the_untrained_unet_predicts_nothing_and_depends_on_the_seed_alone(vae):
    torch.rand(3)
    unet = small_diffusion.build(params(), vae, 0)
    x = torch.randn(2, 6, 4, 4)
    assert (unet(x, 5, encoder_hidden_states=torch.randn(2, 22, 32)).sample == 0).all()
    states = [small_diffusion.build(params(), vae, seed).state_dict()["conv_in.weight"] for seed in (0, 0, 1)]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_it_learns_and_its_pipeline_makes_the_pictures_of_its_parts(tmp_path, text):
    """Saved and loaded in the layout of a released Stable Diffusion; its first step is the U-Net's own prediction."""
    prompts, hidden = text
    vae, settings = new_vae(), params()
    pictures = small_diffusion.draw_pictures(vae, DIGITS, settings, seed=0)
    unet = small_diffusion.build(settings, vae, 0)
    rows = fit(
        unet,
        small_diffusion.batch_loss(unet, pictures, prompts, hidden, settings, 0),
        settings.training.model_copy(update={"steps": 40, "log_interval": 10}),
        scratch=tmp_path,
    )
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    encoder = prompt_encoder.build(settings, TOKENIZER, 0).encoder.eval()
    parts = {"unet": unet, "text_encoder": encoder, "vae": vae, "tokenizer": TOKENIZER}
    small_diffusion.pipeline(**parts).save_pretrained(tmp_path / "sd")
    loaded = load_pipeline(tmp_path / "sd")
    assert not any(module.training for module in (loaded.unet, loaded.vae, loaded.text_encoder))
    assert loaded.scheduler.config.prediction_type == "v_prediction"
    x, row = torch.randn(1, 6, 4, 4), 100
    with torch.no_grad():
        own = unet(x, 500, encoder_hidden_states=hidden[row][None]).sample
        states = loaded.text_encoder(prompts.tokens[row][None]).last_hidden_state
        loaded_own = loaded.unet(x, 500, encoder_hidden_states=states).sample
        torch.testing.assert_close(loaded_own, own, rtol=0, atol=1e-5)  # its prompt is encoded alone
    sampler = PromptedSampler(loaded, distilled=False, seed=0, batch_size=2)
    (images,) = sampler.images(["a", "b"], ["Three over Coffee", "A Rocket"], Options("ddpm", 3, 2.0))
    assert images.shape == (2, 32, 32, 3)


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="attention_head_dim 7 does not divide the width 16"):
        params(attention_head_dim=7)
    with pytest.raises(ValueError, match="norm_num_groups 5 does not divide the width 16"):
        params(norm_num_groups=5)
