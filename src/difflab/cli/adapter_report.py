"""`difflab adapter-report`: where adapters act, how alike they are, and what they make of the same noise."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.core.base import runtime
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import png_bytes, write_bytes, write_csv
from difflab.core.base.store.image_store import ImageStore
from difflab.images.sheet import rows_sheet
from difflab.report.tables import table
from difflab.sd3.artifacts.adapters import FILE_NAME, load_adapter
from difflab.sd3.artifacts.cells import read_kind
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.blocks.drift import Update, cosine, drift, updates
from difflab.sd3.sampling import load_generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from difflab.sd3.artifacts.components import Components
    from difflab.study import Params

DRIFT, CHART, TENSORS, PICTURES = "drift.csv", "drift.png", "drift.safetensors", "pictures.png"
SIDE = 88  # of a picture in the sheet, in pixels
NO_ADAPTER = "no adapter"


def adapter_report(folders: Sequence[Path], captions: str, prompts: int, out: Path, params: "Params") -> str:
    """Write drift.csv, drift.png, drift.safetensors and pictures.png to `out`; returns the tables to print.

    Args:
        folders: adapters, or cells of `finetune`, which stand for their trainings.
        captions: the kind of captions that the prompts are of.
        prompts: how many of the first samples of generate.split are shown.

    Raises:
        DifflabError: a folder holds no adapter, or one of another base, autoencoder or text encoders.
    """
    named = adapters(folders)
    if out.exists() and not out.is_dir():
        raise DifflabError(f"--out {out} is a file: name a folder")
    runtime.configure(params.runtime.num_threads, params.runtime.dtype)
    embeds, store, sampling = open_prompts([captions]), ImageStore("data/celeba_hq"), params.generate
    ids = store.split(sampling.split)[:prompts]
    generator = load_generator(embeds, params.runtime, params.seed, sampling.batch_size, sampling.vae)
    how = captions, 0, sampling.seeds[0], sampling.num_inference_steps, sampling.guidance_scale
    found, moved = drifts(generator.transformer, named, generator.components)
    columns = {NO_ADAPTER: list(generator.images(ids, *how))}
    for name, folder in named.items():
        generator.use_adapter(folder)
        columns[name] = list(generator.images(ids, *how))
    write_csv(out / DRIFT, found)
    write_bytes(out / CHART, chart_png(found))
    write_bytes(out / TENSORS, drift_tensors(found))
    texts = read_kind(captions).set_index(["variant", "id"])["caption"].loc[captions].loc[ids]
    titles = [name.replace("/", " ") for name in columns]  # so that they break
    sheet = rows_sheet(list(zip(texts, zip(*columns.values(), strict=True), strict=True)), SIDE, titles)
    write_bytes(out / PICTURES, png_bytes(sheet))
    alike = {pair: cosine(moved[pair[0]], moved[pair[1]]) for pair in itertools.combinations(named, 2)}
    return "\n\n".join(filter(None, [drift_table(found), cosine_table(list(named), alike), written(out, len(ids))]))


def adapters(folders: Sequence[Path]) -> dict[str, Path]:
    """Adapters by their names, a cell's trainings one by one: "blip2-zero/seed-0".

    Raises:
        DifflabError: a folder holds none, or two have one name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        own = [folder] if (folder / FILE_NAME).exists() else sorted(p.parent for p in folder.glob(f"*/{FILE_NAME}"))
        if not own:
            raise DifflabError(f"{folder} holds no {FILE_NAME}: name a folder of models/finetune")
        for path in own:
            name = f"{path.resolve().parent.name}/{path.resolve().name}"
            if name in found:
                raise DifflabError(f"two adapters are called {name}: name each once")
            found[name] = path
    return found


def drifts(
    transformer: "nn.Module", named: dict[str, Path], components: "Components"
) -> tuple[pd.DataFrame, dict[str, dict[str, Update]]]:
    """The rows of drift.csv, and the updates of each adapter by layer; the transformer is left without an adapter.

    Raises:
        DifflabError: an adapter is of another base, autoencoder or text encoders.
    """
    moved, rows = {}, []
    for name, folder in named.items():
        try:
            load_adapter(transformer, folder, components)
            moved[name] = updates(transformer)
        finally:
            if getattr(transformer, "peft_config", None):
                transformer.unload_lora()
        rows += [{"adapter": name, **row} for row in drift(moved[name])]
    return pd.DataFrame(rows), moved


def drift_tensors(found: pd.DataFrame) -> bytes:
    """A safetensors file of |D| / |W|, `<adapter>/<target>` float64 [blocks]; 0 where an adapter moves nothing."""
    from safetensors.numpy import save

    count = int(found["block"].max()) + 1
    tensors = {}
    for _, rows in found.groupby(["adapter", "target"]):
        (adapter, target), values = rows[["adapter", "target"]].iloc[0], np.zeros(count)
        values[rows["block"]] = rows["relative"]
        tensors[f"{adapter}/{target}"] = values
    return save(tensors)


def by_block(found: pd.DataFrame) -> pd.DataFrame:
    """|D| / |W| of whole blocks by adapter, over all their adapted layers: rows are blocks, columns adapters."""
    squares = found.assign(update=found["norm"] ** 2, weight=(found["norm"] / found["relative"]) ** 2)
    sums = squares.groupby(["block", "adapter"], sort=False)[["update", "weight"]].sum()
    return (sums["update"] / sums["weight"]).pow(0.5).unstack("adapter")[found["adapter"].drop_duplicates()]


def drift_table(found: pd.DataFrame) -> str:
    """How far each block is moved, and which of its layers most."""
    rows = []
    for _, layers in found.groupby(["adapter", "block"], sort=False):
        adapter, block = layers[["adapter", "block"]].iloc[0]
        most = layers.loc[layers["relative"].idxmax()]
        moved = by_block(layers).iloc[0, 0]
        ends = f"{most['relative']:.1%}", f"{layers['largest'].max():.2f}", f"{layers['effective_rank'].median():.1f}"
        rows.append([adapter, str(block), f"{moved:.1%}", str(most["target"]), *ends])
    header = ["adapter", "block", "|D|/|W|", "most moved layer", "its |D|/|W|", "largest s", "effective rank"]
    return table(header, rows, numbers=False)


def cosine_table(names: Sequence[str], alike: dict[tuple[str, str], float]) -> str:
    """The cosine between the updates of each pair; empty for one adapter."""
    rows = [[a, b, f"{value:.3f}"] for (a, b), value in alike.items()]
    return table(["adapter", "and", "cosine of their updates"], rows, numbers=False) if len(names) > 1 else ""


def written(out: Path, prompts: int) -> str:
    tables = f"{out / DRIFT}, {out / TENSORS}, {out / CHART}"
    return f"wrote {tables} and {out / PICTURES}, {prompts} prompts from the same noise"


def chart_png(found: pd.DataFrame) -> bytes:
    """The chart of `drift_chart` as a PNG without dates."""
    import io

    buffer = io.BytesIO()
    drift_chart(found).savefig(buffer, dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def drift_chart(found: pd.DataFrame) -> "Figure":
    """|D| / |W| of each layer, a panel for each adapter with one scale for all: blocks across, targets down."""
    from matplotlib.figure import Figure

    names, targets = list(found["adapter"].drop_duplicates()), sorted(found["target"].unique())
    blocks = sorted(found["block"].unique())
    width = 2.2 + len(names) * max(1.5, 0.28 * len(blocks))
    figure = Figure(figsize=(width, 1.4 + 0.24 * len(targets)), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False, sharey=True)[0]
    most = 100 * found["relative"].max()
    for axis, name in zip(axes, names, strict=True):
        grid = found[found["adapter"] == name].pivot(index="target", columns="block", values="relative")
        values = 100 * grid.reindex(index=targets, columns=blocks).to_numpy(dtype=float)
        axis.imshow(np.ma.masked_invalid(values), vmin=0, vmax=most, aspect="auto")
        axis.set_title(name, fontsize=8)
        axis.set_xticks(range(len(blocks)), [str(b) for b in blocks], fontsize=7)
        axis.set_yticks(range(len(targets)), targets, fontsize=7)
        axis.set_xlabel("block", fontsize=8)
    figure.colorbar(axes[0].images[0], ax=list(axes), label="size of the update, % of the weight's norm")
    return figure
