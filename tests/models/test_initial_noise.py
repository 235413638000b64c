"""The noise that generated images start from is keyed by id and seeds."""

import torch

from difflab.models.initial_noise import initial_noise

IDS = ["hq-00001", "hq-00004", "hq-00007"]


def test_noise_belongs_to_the_id_and_the_seeds():
    shape = (2, 4, 4)
    noise = initial_noise(IDS, shape, seed=0, generation_seed=0)
    assert torch.equal(noise[2], initial_noise(IDS[2:], shape, seed=0, generation_seed=0)[0])
    assert not torch.equal(noise, initial_noise(IDS, shape, seed=0, generation_seed=1))
    assert not torch.equal(noise, initial_noise(IDS, shape, seed=1, generation_seed=0))
    many = initial_noise([f"hq-{n:05d}" for n in range(500)], shape, seed=0, generation_seed=0)
    assert abs(many.mean()) < 0.03
    assert abs(many.std() - 1) < 0.03
