"""Captured attention: in memory, or streamed step by step to safetensors.

Layout of a folder:
    step-0000.safetensors ...   <layer>/<part> [B, heads, tokens, width] for every captured layer (`capture.PARTS`)
    capture.json                the layers with block and kind, the steps, and what the caller says of tokens and pictures
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from difflab.attention.capture import PARTS, Attended, Layer, captured
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import atomic_path, read_json, read_tensors, write_json

FACTS = "capture.json"


class Records:
    """What was captured in memory, by step and layer.

    Attributes:
        layers: the captured ones.
        steps: the captured ones, ascending.
    """

    def __init__(self, layers: Sequence[Layer] = ()) -> None:
        self.layers = list(layers)
        self._held: dict[tuple[int, str], Attended] = {}

    @property
    def steps(self) -> list[int]:
        return sorted({step for step, _ in self._held})

    def add(self, step: int, name: str, attended: Attended) -> None:
        self._held[step, name] = attended

    def get(self, step: int, layer: Layer) -> Attended:
        """What a layer computed at a step."""
        return self._held[step, layer.name]

    def chosen(
        self, blocks: Sequence[int] | None = None, steps: Sequence[int] | None = None, kind: str = "joint"
    ) -> list[Attended]:
        """Those of some blocks and steps (None: all captured ones) of the layers of a kind, step by step.

        Raises:
            DifflabError: one of them was not captured.
        """
        layers = [layer for layer in self.layers if layer.kind == kind]
        if not layers:
            kinds = sorted({layer.kind for layer in self.layers})
            raise DifflabError(f"no layer of the kind '{kind}' was captured, only {', '.join(kinds)}")
        known = {"block": [layer.block for layer in layers], "step": self.steps}
        for what, numbers in (("block", blocks), ("step", steps)):
            if missing := [n for n in numbers or () if n not in known[what]]:
                there = ", ".join(map(str, dict.fromkeys(known[what])))
                raise DifflabError(f"{what} {missing[0]} was not captured: there are {there}")
        wanted = [layer for layer in layers if blocks is None or layer.block in blocks]
        return [self.get(step, layer) for step in (self.steps if steps is None else steps) for layer in wanted]


@contextmanager
def recorded(network: nn.Module, **options: Any) -> Generator[Records]:
    """`captured` into memory: yields records that fill while the network runs; `options` are those of `captured`."""
    records = Records()
    with captured(network, records.add, **options) as records.layers:
        yield records


@contextmanager
def streamed(network: nn.Module, folder: Path, facts: dict[str, Any] | None = None, **options: Any) -> Generator[None]:
    """`captured` into a folder, a step at a time: no more than one step is in memory.

    The folder appears when the block ends well, and not otherwise.

    Args:
        facts: what `open_records` is to give back beside the tensors, as JSON.
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        held: dict[str, torch.Tensor] = {}
        steps: list[int] = []

        def write() -> None:
            if held:
                save_file(held, temporary / f"step-{steps[-1]:04d}.safetensors")
                held.clear()

        def take(step: int, name: str, attended: Attended) -> None:
            if not steps or step != steps[-1]:
                write()
                steps.append(step)
            held.update({f"{name}/{part}": tensor for part, tensor in zip(PARTS, attended, strict=True)})

        with captured(network, take, **options) as layers:
            yield
        write()
        write_json(temporary / FACTS, {"layers": [asdict(layer) for layer in layers], "steps": steps, **(facts or {})})


class StoredRecords(Records):
    """The records of a folder, of which a layer is read when it is asked for.

    Attributes:
        facts: what was stored beside them.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / FACTS).exists():
            raise DifflabError(f"{folder} holds no captured attention: `difflab attention --keep` writes it")
        self.folder, self.facts = folder, read_json(folder / FACTS)
        super().__init__([Layer(**layer) for layer in self.facts["layers"]])

    @property
    def steps(self) -> list[int]:
        return list(self.facts["steps"])

    def get(self, step: int, layer: Layer) -> Attended:
        path = self.folder / f"step-{step:04d}.safetensors"
        remedy = f"delete {self.folder} and capture again"
        tensors = read_tensors(path, remedy)  # a page of it is read when it is used
        with reading(path, remedy):
            return Attended(*(tensors[f"{layer.name}/{part}"] for part in PARTS))
