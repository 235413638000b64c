"""`difflab blocks`: the ranking of the base's blocks, as the report shows it, without the report."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, read_csv, read_json, write_bytes
from difflab.report import study_tables
from difflab.report.figures import block_charts, rendered

RANKED, TUNED = Path("metrics/rank_blocks.json"), Path("metrics/tune_blocks.json")
TABLES = Path("plots/blocks")
TENSORS = "blocks.safetensors"


@dataclass(frozen=True)
class Ranking:
    """What `rank_blocks` and `tune_blocks` found.

    Attributes:
        figures: PNG files by name: block_effects, block_effects_by_sigma, block_agreement, block_tuning.
        table, tuned: in Markdown; `tuned` is empty where nothing was tuned yet.
        tensors: a safetensors file, see `ranking_tensors`.
    """

    figures: dict[str, bytes]
    table: str
    tuned: str
    tensors: bytes


def read_ranking() -> Ranking:
    """The ranking that lies here.

    Raises:
        DifflabError: there is none.
    """
    if not RANKED.exists() or not (TABLES / "effects.csv").exists():
        raise DifflabError("there is no ranking of blocks here: run `dvc repro rank_blocks`, or `dvc pull`")
    numbers = read_json(RANKED)
    tuned = read_json(TUNED) if TUNED.exists() else {}
    charts = block_charts(lambda path: read_csv(path) if Path(path).exists() else None, tuned)
    effects, ranks = (read_csv(TABLES / f"{name}.csv") for name in ("effects", "ranks"))
    return Ranking(
        {name: rendered(draw) for name, draw in charts.items()},
        study_tables.blocks(numbers),
        study_tables.blocks_tuned({f"tuned_{name}": value for name, value in tuned.items()}),
        ranking_tensors(effects, ranks),
    )


def ranking_tensors(effects: pd.DataFrame, ranks: pd.DataFrame) -> bytes:
    """A safetensors file: `<way>/<measure>` float64 [blocks, 3], effect, low and high, and `<way>/rank` likewise."""
    from safetensors.numpy import save

    tensors = {}
    for _, rows in effects.groupby(["way", "measure"]):
        way, measure = rows[["way", "measure"]].iloc[0]
        tensors[f"{way}/{measure}"] = _by_block(rows, ["effect", "low", "high"])
    for way, rows in ranks.groupby("way"):
        tensors[f"{way}/rank"] = _by_block(rows, ["rank", "rank_low", "rank_high"])
    return save(tensors)


def _by_block(rows: pd.DataFrame, columns: list[str]) -> np.ndarray:
    return np.ascontiguousarray(rows.sort_values("block")[columns].to_numpy(float))


def blocks(out: Path) -> str:
    """Write the figures and the tensors to a folder; returns the tables to print.

    Raises:
        DifflabError: there is no ranking here, or `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise DifflabError(f"--out {out} is a file: name a folder")
    found = read_ranking()
    for name, png in found.figures.items():
        write_bytes(out / f"{name}.png", png)
    with atomic_path(out / TENSORS) as temporary:
        temporary.write_bytes(found.tensors)
    written = ", ".join(f"{out / name}.png" for name in found.figures)
    return "\n\n".join(filter(None, [found.table, found.tuned, f"wrote {written} and {out / TENSORS}"]))
