"""The training of the captioner's projector and adapter, on features of all pictures that lie in memory."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from difflab.core.base import rng
from difflab.training import shares
from difflab.training.data_order import SampleStream
from difflab.training.supervised import fit

if TYPE_CHECKING:
    from difflab.captioning.captioner_model.visual_prefix import Captioner
    from difflab.captioning.params import CaptionerTrainingParams
    from difflab.training.curve import Row
    from difflab.training.loop import Log


@dataclass(frozen=True)
class TitledFeatures:
    """N pictures with their titles."""

    ids: list[str]
    features: Tensor  # of `Captioner.encode`, [N, tokens, width]
    titles: list[tuple[str, ...]]  # of each picture, one or more

    def part(self, ids: Collection[str]) -> "TitledFeatures":
        """Those of some ids, in the order that they have here."""
        rows = [row for row, id in enumerate(self.ids) if id in ids]
        return TitledFeatures([self.ids[row] for row in rows], self.features[rows], [self.titles[row] for row in rows])

    def drawn_titles(self, index: Tensor, keys: Tensor) -> list[str]:
        """One title of each of the pictures `index`, drawn by its key, both int64 [B]."""
        chosen = [self.titles[i] for i in index.tolist()]
        return [titles[int(u * len(titles))] for titles, u in zip(chosen, rng.uniform(keys).tolist(), strict=True)]


def train_captioner(
    captioner: "Captioner",
    train: TitledFeatures,
    validation: TitledFeatures,
    settings: "CaptionerTrainingParams",
    *,
    seed: int,
    scratch: Path,
    what: str,
    log: "Log" = lambda values, step: None,
) -> "list[Row]":
    """Train projector and adapter on the captions' cross-entropy; keep the step of the lowest validation loss.

    Order and titles belong to (seed, sample id, epoch). A run that was stopped is resumed from its state
    in `scratch`, bit for bit on a CPU. On return the captioner holds the best weights (of their
    average, where `ema_decay` > 0), in eval mode.

    Returns:
        The rows of `training.supervised.fit`, each with "val_loss", the mean over the tokens of all titles.

    Raises:
        DifflabError: the loss is not finite.
        Interrupted: Ctrl-C; the state is saved.
    """
    stream = SampleStream(rng.id_keys(train.ids), seed)

    def batch_loss(step: int) -> dict[str, Tensor]:
        index, keys = stream.take(step * settings.batch_size, settings.batch_size)
        titles = train.drawn_titles(index, rng.fold(keys, rng.key(seed, "title")))
        own_index, own_titles = shares.own(index, titles)
        if not own_titles:
            return {"loss": torch.zeros((), device=captioner.language_model.device)}
        losses = captioner.token_losses(train.features[own_index], own_titles)
        whole = len(losses) if len(own_titles) == len(titles) else sum(map(len, captioner.tokens(titles)))
        return {"loss": shares.weighted(losses.mean(), len(losses), whole)}

    return fit(
        captioner, batch_loss, settings, scratch=scratch, log=log, what=what, keep_best=True,
        ema_decay=settings.ema_decay,
        validate=lambda step: {"val_loss": mean_loss(captioner, validation)}, identity_of=[seed, train.ids, train.titles],
    )  # fmt: skip


@torch.no_grad()
def mean_loss(captioner: "Captioner", pictures: TitledFeatures, batch_size: int = 64) -> float:
    """The mean over the tokens of all titles of all pictures; does not depend on `batch_size` beyond rounding."""
    pairs = [(i, title) for i, titles in enumerate(pictures.titles) for title in titles]
    total, count = 0.0, 0
    for start in range(0, len(pairs), batch_size):
        rows, titles = zip(*pairs[start : start + batch_size], strict=True)
        losses = captioner.token_losses(pictures.features[list(rows)], titles)
        total, count = total + losses.double().sum().item(), count + len(losses)
    return total / count
