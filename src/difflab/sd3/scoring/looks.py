"""What an extractor sees of many sets of pictures: cut into pieces, spread over processes, resumable."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from difflab.core.base.files import read_tensors
from difflab.core.base.sharding import process_chunks

BATCHES_PER_PIECE = 16
Looked = tuple[np.ndarray, dict[str, np.ndarray]]
"""Features float32 [n, dim] of n pictures, and the classes int64 [n] that each head sees in them."""


@dataclass(frozen=True)
class PictureSet:
    """Pictures by sample id; `read` gives those of some ids, one by one."""

    ids: Sequence[str]
    read: Callable[[Sequence[str]], Iterable]


def look_at(
    sets: Mapping[str, PictureSet], look: Callable[[Iterable, str], Looked], batch_size: int, scratch: Path
) -> dict[str, Looked] | None:
    """What `look(pictures, name of the set)` gives for each whole set; None in processes but the main one.

    Pieces are whole batches, so that the values are the same bytes for any number of processes.
    """
    size = batch_size * BATCHES_PER_PIECE
    starts = {f"{name}:{start}": (name, start) for name in sets for start in range(0, len(sets[name].ids), size)}

    def work(pieces: list[str], path: Path) -> None:
        name, start = starts[pieces[0]]
        features, seen = look(sets[name].read(sets[name].ids[start : start + size]), name)
        save_file({"features": features, **{f"class {head}": classes for head, classes in seen.items()}}, path)

    paths = process_chunks(list(starts), 1, scratch, work, what="features", suffix=".safetensors")
    if paths is None:
        return None
    parts: dict[str, list[Mapping[str, np.ndarray]]] = {name: [] for name in sets}
    for (name, _), path in zip(starts.values(), paths, strict=True):
        parts[name].append({part: tensor.numpy() for part, tensor in read_tensors(path).items()})
    return {name: _joined(pieces) for name, pieces in parts.items()}


def _joined(pieces: list[Mapping[str, np.ndarray]]) -> Looked:
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return columns.pop("features"), {name.removeprefix("class "): column for name, column in columns.items()}
