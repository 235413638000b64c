"""Training examples: cached latents with their prompts, and everything that is drawn for a batch of them."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.training.data_order import SampleStream

if TYPE_CHECKING:
    from difflab.sd3.artifacts.prompt_embeds import PromptTable
    from difflab.sd3.training.density import SigmaDensity
    from difflab.sd3.training.latents import LatentTable


class Batch(NamedTuple):
    """What a step trains on, all on one device."""

    x0: Tensor  # clean latents, float32 [B, C, h, w]
    noise: Tensor  # like x0
    sigma: Tensor  # float32 [B]
    prompt_embeds: Tensor  # [B, L, joint dim]
    pooled_prompt_embeds: Tensor  # [B, pooled dim]


class Examples:
    """Samples by id: their rows in the latent table and in the prompt table.

    Args:
        prompt_rows: rows of the prompt table, int64 [N, number of caption variants], for the N `ids`.
        weights: sampling weights, [N]; None draws every sample once an epoch.

    Raises:
        DifflabError: no samples.
    """

    def __init__(
        self,
        latents: "LatentTable",
        prompts: "PromptTable",
        ids: list[str],
        prompt_rows: Tensor,
        weights: Tensor | None = None,
    ) -> None:
        if not ids:
            raise DifflabError("there is no sample to train on: the split is empty")
        self.latents, self.prompts, self.ids = latents, prompts, ids
        self.prompt_rows, self.weights = prompt_rows, weights
        self.latent_rows = latents.rows(ids)
        self.keys = rng.id_keys(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def stream(self, seed: int) -> SampleStream:
        return SampleStream(self.keys, seed, self.weights)

    def sigmas(self, density: "SigmaDensity", seed: int, count: int = 20_000) -> Tensor:
        """The first sigmas that a run with this seed draws, float32 [count]."""
        _, keys = self.stream(seed).take(0, count)
        return density.sigma(_keys(keys, seed, "sigma"))

    def training_batch(
        self,
        index: Tensor,
        keys: Tensor,
        density: "SigmaDensity",
        seed: int,
        prompt_dropout: float,
        device: torch.device,
    ) -> Batch:
        """Draw latent, noise, sigma, caption variant and prompt dropout of some samples.

        Args:
            index: which samples, int64 [B].
            keys: the keys of these draws, int64 [B], from `SampleStream.take`.
            prompt_dropout: share of samples that get the empty prompt.
        """
        rows = self.prompt_rows[index]
        if rows.shape[1] > 1:
            variant = (rng.uniform(_keys(keys, seed, "variant")) * rows.shape[1]).long()
            rows = rows.gather(1, variant[:, None])
        rows = rows[:, 0]
        if prompt_dropout:
            dropped = rng.uniform(_keys(keys, seed, "prompt dropout")) < prompt_dropout
            rows = torch.where(dropped, self.prompts.empty_row, rows)
        prompt_embeds, pooled = (_moved(t, device) for t in self.prompts.gather(rows))
        keys = _moved(keys, device)
        x0 = self.latents.sample(self.latent_rows[index], _keys(keys, seed, "latent"))
        noise = rng.normal(_keys(keys, seed, "noise"), x0.shape[1:])
        return Batch(x0, noise, density.sigma(_keys(keys, seed, "sigma")), prompt_embeds, pooled)

    def held_out_batch(self, index: Tensor, seed: int, device: torch.device) -> Batch:
        """The same samples with the posterior mean, noise by the id only, the first caption, and no sigma yet."""
        prompt_embeds, pooled = (_moved(t, device) for t in self.prompts.gather(self.prompt_rows[index, 0]))
        x0 = _moved(self.latents.mode(self.latent_rows[index]), device)
        noise = rng.normal(_keys(self.keys[index].to(device), seed, "held-out noise"), x0.shape[1:])
        return Batch(x0, noise, x0.new_empty(0), prompt_embeds, pooled)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; through pinned memory to a GPU, so that the host does not wait for the copy."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def caption_rows(prompts: "PromptTable", ids: list[str], *kinds: str) -> Tensor:
    """Rows of the prompt table, int64 [N, V], for the V variants of kinds of captions: `blip2`, `blip2-1`, ..."""
    known = sorted(set(prompts.index["variant"]))
    variants = []
    for kind in kinds:
        found = [v for v in known if v == kind or v.startswith(f"{kind}-")]
        if not found:
            raise DifflabError(f"there are no '{kind}' captions in the prompt cache, only {', '.join(known)}")
        variants += found
    return torch.stack([prompts.rows(ids, variant) for variant in variants], dim=1)


def _keys(keys: Tensor, seed: int, purpose: str) -> Tensor:
    return rng.fold(keys, rng.key(seed, purpose))
