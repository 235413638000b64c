"""`difflab export`: an adapter in the format of another program."""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab.cli.adapters import describe, name_of, open_adapters
from difflab.cli.bases import OUTPUTS
from difflab.models.adapters.reading import located
from difflab.models.adapters.writing import check_target, write_adapter

if TYPE_CHECKING:
    from difflab.study import Params


def export(path: Path, format: str, out: Path | None, base: str | None, params: "Params") -> str:
    """Write the adapter and return the line to print.

    Raises:
        DifflabError: it is no adapter, does not fit its base, or the target cannot be written.
    """
    name = name_of(located(path))
    out = out or OUTPUTS / f"{name}-{format}"
    check_target(out, format)
    (adapter,) = open_adapters([path], base, params)
    facts = adapter.file.facts
    files = write_adapter(out, format, adapter.updates, adapter.layers, describe(adapter, params), facts)
    size = sum(file.stat().st_size for file in files)
    ranks = sorted({part.rank for part in adapter.updates.values()})
    rank = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}"
    return f"wrote {out}, {adapter.file.path} for {format}: {len(adapter.updates)} layers, {rank}, {size / 1e6:.1f} MB"
