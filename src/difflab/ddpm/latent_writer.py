"""Writing the latents of an image set; `series_data` says what lies where."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from safetensors.torch import save_file

from difflab.core.base.files import write_parquet
from difflab.ddpm.data.series_data import INDEX, LATENTS

if TYPE_CHECKING:
    from difflab.ddpm.data.series_data import Split


def write_latent_splits(folder: Path, splits: dict[str, "Split"]) -> None:
    """Write the latents of each split, its ids and its labels."""
    save_file({name: split.pixels.contiguous() for name, split in splits.items()}, folder / LATENTS)
    tables = [pd.DataFrame({"id": split.ids, "split": name, "label": split.labels}) for name, split in splits.items()]
    write_parquet(folder / INDEX, pd.concat(tables, ignore_index=True))
