"""Latents come back by id, as the autoencoder made them, in few bytes."""

import copy

import pytest
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.sd3.caching.latent_writer import pack, write_latents
from difflab.sd3.training.latents import LatentTable, unpack
from fakes.sd3_study import latent_settings, make_store, make_vae


@pytest.fixture(scope="module")
def vae():
    return make_vae()


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("stores")
    return [make_store(root / "hq", "hq", 11), make_store(root / "celeba", "celeba", 6, start=1)]


def write(folder, stores, vae, scratch, dtype=torch.float32, **changes):
    return write_latents(folder, stores, vae, "f" * 16, latent_settings(**changes), dtype=dtype, scratch=scratch)


@pytest.fixture(scope="module")
def table(stores, vae, tmp_path_factory):
    folder = tmp_path_factory.mktemp("latents") / "out"
    write(folder, stores, vae, folder.parent / "scratch")
    return LatentTable.load(folder)


def direct_moments(vae, store, id, mirrored=False):
    from difflab.core.base.store.tensors import to_tensor

    image = to_tensor(store.read([id]), 32)
    with torch.no_grad():
        posterior = vae.encode(image.flip(-1) if mirrored else image).latent_dist
    return posterior.mean, posterior.logvar


def test_every_image_is_found_by_id_whatever_the_order(table, stores, vae):
    ids = [*stores[1].ids[::-1], *stores[0].ids[:3]]
    latents = table.mode(table.rows(ids))
    for row, id in enumerate(ids):
        store = stores[1] if id.startswith("celeba") else stores[0]
        expected = (direct_moments(vae, store, id)[0] - 0.1) * 1.5
        torch.testing.assert_close(latents[row : row + 1], expected, rtol=0, atol=1e-5)


def test_samples_have_the_posterior_of_the_image_or_of_its_mirror(table, stores, vae):
    id, draws = stores[0].ids[3], 4000
    keys = rng.fold(torch.arange(draws), 5)
    sampled = table.sample(table.rows([id]).expand(draws), keys) / 1.5 + 0.1
    plain, flipped = direct_moments(vae, stores[0], id), direct_moments(vae, stores[0], id, mirrored=True)
    flipped = flipped[0], plain[1].flip(-1)  # the mirror's log-variance is not kept
    distance = [(sampled - mean).square().flatten(1).mean(1) for mean, _ in (plain, flipped)]
    is_plain = distance[0] < distance[1]
    assert 0.45 < is_plain.float().mean() < 0.55
    for chosen, (mean, logvar) in ((is_plain, plain), (~is_plain, flipped)):
        part = sampled[chosen]
        std = torch.exp(0.5 * logvar)[0]
        error = (part.mean(0) - mean[0]) / std
        assert error.abs().max() < 6 / len(part) ** 0.5
        assert (part.std(0) / std - 1).abs().max() < 0.15


def test_a_draw_belongs_to_its_key(table, stores):
    rows, keys = table.rows(stores[0].ids[:6]), rng.fold(torch.arange(6), 1)
    assert torch.equal(table.sample(rows, keys)[2:4], table.sample(rows[2:4], keys[2:4]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_packed_moments_are_within_the_stated_error(dtype):
    torch.manual_seed(0)
    mean, mirror = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8)
    logvar = torch.randn(3, 4, 8, 8) * 3 - 8
    packed = pack(mean, logvar, mirror, dtype)
    got_mean, got_logvar = unpack(packed)
    assert torch.equal(got_mean, mean.to(dtype).float())
    span = logvar.amax((2, 3)) - logvar.amin((2, 3))
    assert ((got_logvar - logvar).abs().amax((2, 3)) <= span / 510 + 1e-5).all()
    got_mirror, mirrored_logvar = unpack(packed, torch.tensor([True, True, False]))
    largest = (mirror - got_mean.flip(-1)).abs().amax((2, 3))
    assert ((got_mirror - mirror)[:2].abs().amax((2, 3)) <= largest[:2] / 254 + 1e-6).all()
    assert torch.equal(mirrored_logvar[:2], got_logvar[:2].flip(-1))
    assert torch.equal(got_mirror[2], got_mean[2])


def test_constant_moments_survive_packing():
    mean, logvar = torch.zeros(1, 2, 4, 4), torch.full((1, 2, 4, 4), -30.0)
    got = unpack(pack(mean, logvar, mean, torch.float32), torch.tensor([True]))
    assert torch.equal(got[0], mean)
    assert torch.equal(got[1], logvar)


def test_another_batch_size_changes_rounding_only(table, stores, vae, tmp_path):
    write(tmp_path / "out", stores, vae, tmp_path / "scratch", batch_size=3)
    other = LatentTable.load(tmp_path / "out")
    rows = table.rows(stores[0].ids)
    torch.testing.assert_close(table.mode(rows), other.mode(rows), rtol=0, atol=1e-5)
    for one, two in zip(table._shards, other._shards, strict=True):
        for name in ("logvar", "mirror"):
            assert (one[name].int() - two[name].int()).abs().max() <= 1


def test_two_processes_and_a_stopped_run_give_the_same_bytes(stores, vae, tmp_path, monkeypatch):
    write(tmp_path / "one", stores, vae, tmp_path / "a")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert write(tmp_path / "two", stores, vae, tmp_path / "b") is None
    assert not (tmp_path / "two").exists()
    half = sorted((tmp_path / "b" / "latents").iterdir())
    stamps = [file.stat().st_mtime_ns for file in half]
    assert half
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.delenv("RANK")
    write(tmp_path / "two", stores, vae, tmp_path / "b")
    assert [file.stat().st_mtime_ns for file in half] == stamps  # taken over, not made again
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_not_cached_and_the_picture_is_named(stores, vae, tmp_path, value):
    broken = copy.deepcopy(vae)
    with torch.no_grad():
        broken.encoder.conv_in.weight[0, 0, 0, 0] = value  # as float16 weights that overflow
    with pytest.raises(DifflabError, match=r"^the latent of hq-00000 is not finite"):
        write(tmp_path / "out", stores, broken, tmp_path / "scratch")
    assert not (tmp_path / "out").exists()


def test_changed_images_and_unknown_ids_are_refused(table, stores, tmp_path):
    table.check_images(stores[0], stores[0].ids)
    changed = make_store(tmp_path / "hq", "hq", 11, start=7)
    with pytest.raises(DifflabError, match="hq-00000 are of other image bytes"):
        table.check_images(changed, changed.ids)
    with pytest.raises(DifflabError, match="1 images have no cached latents, first hq-99999"):
        table.rows(["hq-00001", "hq-99999"])


def test_a_folder_with_a_missing_shard_or_none_at_all_is_refused(stores, vae, tmp_path):
    with pytest.raises(DifflabError, match="holds no latent cache"):
        LatentTable.load(tmp_path)
    write(tmp_path / "out", stores, vae, tmp_path / "scratch")
    shards = sorted((tmp_path / "out").glob("latents-*"))
    shards[-1].write_bytes(shards[0].read_bytes())
    with pytest.raises(DifflabError, match="index and shards differ"):
        LatentTable.load(tmp_path / "out")
    shards[-1].unlink()
    with pytest.raises(DifflabError, match="index and shards differ"):
        LatentTable.load(tmp_path / "out")


@pytest.mark.slow
def test_a_1024_px_example_takes_at_most_1_10_mb_and_1000_examples_few_files(tmp_path):
    vae = make_vae(
        block_out_channels=(4, 4, 4, 4),
        latent_channels=16,
        norm_num_groups=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        mid_block_add_attention=False,
    )
    store = make_store(tmp_path / "hq", "hq", 3, size=64)
    write(
        tmp_path / "out", [store], vae, tmp_path / "scratch",
        dtype=torch.bfloat16, image_size=1024, batch_size=1, shard_size=256,
    )  # fmt: skip
    table = LatentTable.load(tmp_path / "out")
    assert table.shape == (16, 128, 128)
    files = list((tmp_path / "out").iterdir())
    assert sum(file.stat().st_size for file in files) / 3 <= 1_100_000
    assert -(-1000 // 256) + len(files) - 1 <= 20
