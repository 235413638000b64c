"""Images of a trained setting: what is asked for, which noise, and back to pixels."""

import itertools

import numpy as np
import pytest
import torch
from diffusers.models import AutoencoderKL
from stages.ddpm import ddpm_sample
from stages.ddpm.ddpm_sample import spread

from difflab.core.base.errors import DifflabError
from difflab.core.params import load_params
from difflab.ddpm.common.conditions import digit_of
from difflab.ddpm.common.networks import save_denoiser
from difflab.ddpm.sampling.samplers import sample
from difflab.ddpm.sampling.series_sampler import SeriesSampler, load_sampler
from difflab.images.generated.reader import GeneratedImages
from difflab.models.sampling.latent_images import decode
from fakes.running_stage import RunningStage
from fakes.tiny import CLASSES, KINDS, denoiser, names, noise, sampling, schedule_params

IDS = names(7)
GUIDED = {"by class": 2.0, "prompted": 2.0, "plain": 1.0, "drunet": 1.0}


def sampler(kind="plain", channels=1, vae=None):
    classes = CLASSES if kind == "by class" else []
    return SeriesSampler(denoiser(kind, channels=channels).eval(), (channels, 8, 8), classes, vae)


def images(made, wanted=None, ids=IDS, batch_size=4, seed=0, on_step=lambda sigma, x, x0: None, **changes):
    wanted = made.wanted(len(ids)) if wanted is None else wanted
    return made.images(ids, wanted, sampling(**changes), seed=seed, batch_size=batch_size, on_step=on_step)


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(4, 4), down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=2, shift_factor=0.2, scaling_factor=1.7,
    ).eval()  # fmt: skip


def test_classes_are_asked_for_in_turn():
    assert sampler("by class").wanted(5) == ["cat", "dog", "owl", "cat", "dog"]


def test_prompts_are_asked_for_in_turn():
    """All digits in one wording, then in the next; after sixty prompts from the start."""
    wanted = sampler("prompted").wanted(65)
    assert [digit_of(prompt) for prompt in wanted] == [n % 10 for n in range(65)]
    assert wanted[:2] + wanted[10:12] + wanted[20:21] == ["zero", "one", "0", "1", "the digit 0"]
    assert len(set(wanted[:60])) == 60
    assert wanted[60:] == wanted[:5]


def test_without_conditions_nothing_is_asked_for():
    assert sampler().wanted(2) == ["", ""]


def test_the_one_image_of_a_setting_is_what_is_wanted(tmp_path):
    facts = {"shape": [1, 8, 8], "classes": [], "image": "scenes-00016"}
    save_denoiser(tmp_path, sampler().denoiser, schedule_params(), **facts)
    assert load_sampler(tmp_path, torch.device("cpu")).wanted(2) == ["scenes-00016", "scenes-00016"]


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_rgb_whatever_the_channels(kind):
    made = images(sampler(kind), guidance_scale=GUIDED[kind])
    assert (made.shape, made.dtype) == ((7, 8, 8, 3), np.uint8)
    assert (made == made[..., :1]).all()
    assert len(np.unique(made)) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_images_do_not_depend_on_the_batch_size(kind):
    """Beyond rounding: one level, in less than a thousandth of the pixels."""
    made = sampler(kind, channels=3)
    options = {"guidance_scale": GUIDED[kind], "sampler": "ddpm"}
    together, in_parts = (images(made, batch_size=size, **options).astype(int) for size in (7, 3))
    assert np.abs(together - in_parts).max() <= 1
    assert (together != in_parts).mean() < 0.001


def test_an_image_depends_on_its_id_its_seed_and_its_class():
    made = sampler("by class")
    first = images(made, ["cat"], IDS[:1])
    assert (images(made, ["cat", "cat"], [IDS[3], IDS[0]])[1:] == first).all()
    assert (images(made, ["cat"], IDS[1:2]) != first).any()
    assert (images(made, ["cat"], IDS[:1], seed=1) != first).any()
    assert (images(made, ["dog"], IDS[:1]) != first).any()


@pytest.mark.parametrize(
    ("kind", "wanted", "condition", "empty"),
    [
        ("by class", ["owl", "cat"], {"class_labels": [2, 0]}, {"class_labels": [3, 3]}),
        ("prompted", ["", "a"], {"tokens": [[0, 0, 0], [11, 0, 0]]}, {"tokens": [[0, 0, 0], [0, 0, 0]]}),
    ],
)
def test_guidance_goes_from_the_empty_condition_to_the_one_that_is_wanted(kind, wanted, condition, empty):
    made, x, sigma = sampler(kind), noise(2), torch.tensor([0.5, 5.0])
    with torch.no_grad():
        without, with_it = (
            made.denoiser(x, sigma, {name: torch.tensor(value) for name, value in told.items()})
            for told in (empty, condition)
        )
        found = made.denoise(wanted, 3.0)(x, sigma)
        assert not torch.allclose(without[1], with_it[1])
        torch.testing.assert_close(found, without + 3 * (with_it - without), atol=1e-5, rtol=1e-5)


def test_guidance_without_a_condition_is_refused():
    with pytest.raises(DifflabError, match=r"^guidance_scale is 2\.5, but this model has no condition to guide"):
        images(sampler(), guidance_scale=2.5)


def test_an_unknown_class_is_refused_with_the_known_ones():
    with pytest.raises(DifflabError, match=r"^unknown class 'fox': the model knows cat, dog, owl$"):
        images(sampler("by class"), ["fox"], IDS[:1])


def test_an_unknown_word_is_refused():
    with pytest.raises(DifflabError, match="the prompt 'a fox' has the unknown word 'fox'"):
        images(sampler("prompted"), ["a fox"], IDS[:1])


def test_latents_are_decoded(vae):
    made = sampler("by class", channels=4, vae=vae)
    found = images(made, ["cat", "owl"], IDS[:2])
    latents = sample(made.denoise(["cat", "owl"], 1.0), made.denoiser.schedule, IDS[:2], (4, 8, 8), sampling(), seed=0)
    assert found.shape == (2, 16, 16, 3)
    assert (found == decode(vae, latents)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_values_beyond_the_range_are_clipped_not_wrapped(channels):
    """-0.02 and 1.02 on the scale of 0 to 1 are black and white."""
    x0 = torch.tensor([-1.04, 1.04]).view(2, 1, 1, 1).expand(2, channels, 8, 8)
    black, white = sampler(channels=channels).pixels(x0)
    assert (black == 0).all()
    assert (white == 255).all()


@pytest.mark.parametrize("method", ["ddim", "heun", "dpm++", "euler_maruyama"])
def test_the_first_batch_alone_is_shown_step_by_step(method):
    shown, whole = [], []
    images(sampler(), batch_size=3, sampler=method, on_step=lambda sigma, x, x0: shown.append(x0))
    images(sampler(), ids=IDS[:3], sampler=method, on_step=lambda sigma, x, x0: whole.append(x0))
    assert len(shown) == len(whole) >= 5
    torch.testing.assert_close(shown[-1], whole[-1])


def test_no_two_studies_trainings_and_draws_share_noise(root, tmp_path, monkeypatch):
    """Seeds that were added would give draw 1 of one study the images of draw 0 of the next."""
    monkeypatch.chdir(tmp_path)
    for training in (0, 1):  # the same network twice
        save(tmp_path / "models/ddpm/single_class", "plain", training)
    setting = sampling(num_images=4, seeds=(0, 1))
    params = load_params(root / "params.yaml").ddpm_sample.model_copy(update={"single_class": setting})
    made = []
    for seed in (0, 1):
        stage = RunningStage(tmp_path / f"study {seed}", ddpm_sample=params, seed=seed)
        ddpm_sample.main(stage, setting="single_class")
        for training, draw in itertools.product((0, 1), repeat=2):
            archive = GeneratedImages(f"data/samples/single_class/seed-{training}/images.zip")
            made.append(np.stack([np.asarray(image, np.int64) for image in archive.read(draw)]))
    for one, two in itertools.combinations(made, 2):
        assert np.abs(one - two).mean() > 1


@pytest.mark.parametrize(("count", "chosen"), [(4, [0, 3, 6, 9]), (20, list(range(10))), (1, [0])])
def test_frames_of_a_strip_are_spread_evenly(count, chosen):
    assert spread(list(range(10)), count) == chosen


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_setting_makes_the_same_images(tmp_path, kind):
    made = sampler(kind)
    save_denoiser(tmp_path, made.denoiser, schedule_params(), shape=list(made.shape), classes=CLASSES)
    loaded = load_sampler(tmp_path, torch.device("cpu"))
    assert (loaded.shape, loaded.classes, loaded.vae) == (made.shape, made.classes, None)
    options = {"guidance_scale": GUIDED[kind]}
    assert (images(loaded, **options) == images(made, **options)).all()


def test_a_saved_setting_of_latents_brings_its_autoencoder(tmp_path, vae):
    made = sampler("by class", channels=4, vae=vae)
    save_denoiser(tmp_path, made.denoiser, schedule_params(), shape=[4, 8, 8], classes=CLASSES)
    vae.save_pretrained(tmp_path / "vae")
    assert (images(load_sampler(tmp_path, torch.device("cpu"))) == images(made)).all()


def test_an_autoencoder_that_lacks_its_files_is_refused(tmp_path):
    folder = save(tmp_path / "single_class", "plain")
    (folder / "vae").mkdir()
    with pytest.raises(
        DifflabError, match=r"(holds no whole setting of the DDPM series .* puts it back|^unreadable: .* restores)"
    ):
        load_sampler(folder, torch.device("cpu"))


def save(setting, kind, training=0):
    made, folder = sampler(kind), setting / f"seed-{training}"
    folder.mkdir(parents=True)
    save_denoiser(folder, made.denoiser, schedule_params(), shape=list(made.shape), classes=CLASSES)
    return folder


@pytest.mark.parametrize(
    ("setting", "kind"), [("text", "by class"), ("single_class", "prompted"), ("latent", "by class")]
)
def test_the_model_of_another_setting_is_refused(tmp_path, setting, kind):
    with pytest.raises(
        DifflabError, match=f"{setting}/seed-0 holds the model of another setting, .*dvc checkout .*{setting}`"
    ):
        load_sampler(save(tmp_path / setting, kind), torch.device("cpu"))


@pytest.mark.parametrize("gone", ["prompts.safetensors", "unet/diffusion_pytorch_model.safetensors", "denoiser.json"])
def test_a_model_that_lacks_a_file_is_refused(tmp_path, gone):
    folder = save(tmp_path / "text", "prompted")
    (folder / gone).unlink()
    with pytest.raises(DifflabError, match="text"):
        load_sampler(folder, torch.device("cpu"))


@pytest.mark.parametrize("content", ["{", '{"kind": 3}', "[]", '{"prediction": "epsilon", "schedule": {}}'])
def test_a_damaged_description_is_refused(tmp_path, content):
    folder = save(tmp_path / "text", "prompted")
    (folder / "denoiser.json").write_text(content)
    with pytest.raises(DifflabError, match=r"(holds no whole setting .* puts it back|^unreadable: .* restores it)"):
        load_sampler(folder, torch.device("cpu"))
