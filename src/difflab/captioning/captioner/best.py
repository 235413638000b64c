"""The best checkpoint: the trained tensors of the step with the lowest validation loss."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.training.checkpoint import trained_tensors


class Best:
    """A file beside the state of a run, which a resumed run takes up.

    Attributes:
        step: number of steps done; None before the first offer.
        loss: validation loss then.
    """

    def __init__(self, path: Path, model: nn.Module, identity: str) -> None:
        """`identity` says which run the file belongs to (`training.checkpoint.identity`); others are replaced."""
        self._path, self._model, self._identity = Path(path), model, identity
        self.step: int | None = None
        self.loss = float("inf")
        if self._path.exists():
            with safe_open(self._path, framework="pt") as file:
                facts = json.loads(file.metadata()["best"])
            if facts["identity"] == identity:
                self.step, self.loss = facts["step"], facts["loss"]

    def offer(self, step: int, loss: float) -> None:
        """Keep the model as it is now if no step before had as low a validation loss."""
        if not loss < self.loss:
            return
        self.step, self.loss = step, loss
        facts = {"identity": self._identity, "step": step, "loss": loss}
        tensors = {n: t.detach().cpu().contiguous() for n, t in trained_tensors(self._model).items()}
        with atomic_path(self._path) as temporary:
            save_file(tensors, temporary, metadata={"best": json.dumps(facts)})

    def restore(self) -> None:
        """Put the best tensors into the model.

        Raises:
            DifflabError: nothing was offered, or every loss was NaN.
        """
        if self.step is None:
            raise DifflabError(f"{self._path}: no validation loss was a number; lower the learning rate")
        with safe_open(self._path, framework="pt") as file, torch.no_grad():
            for name, target in trained_tensors(self._model).items():
                target.copy_(file.get_tensor(name))
