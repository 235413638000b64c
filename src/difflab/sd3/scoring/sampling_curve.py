"""Distance and accuracy of one cell's trainings while one setting of the sampling changes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.files import atomic_path, write_csv
from difflab.core.base.store.image_store import ImageStore
from difflab.metrics.intervals import RELATIVE, mean_interval, pooled_spread
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.sampling import load_generator
from difflab.sd3.scoring.scores import load_judge

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.sd3.params import CurveParams, GenerateParams, ScoreParams


class SamplingCurve:
    """The curve of one cell: rows of one image per id and training, of the first draw, whose noise is the same each time.

    Attributes:
        ids: the samples whose prompts are used.
        generator: of the base alone, until its `use_adapter` is called.
    """

    def __init__(
        self,
        curve: "CurveParams",
        generate: "GenerateParams",
        score: "ScoreParams",
        runtime: "RuntimeParams",
        seed: int,
    ) -> None:
        self.captions, self.settings = curve.captions, generate
        store = ImageStore("data/celeba_hq")
        self.ids = store.split(generate.split)[: curve.num_images]
        self.judge = load_judge(store, score, runtime.device, seed)
        prompts = open_prompts([curve.captions])
        self.generator = load_generator(prompts, runtime, seed, generate.batch_size, generate.vae)
        self.rows: list[dict] = []

    def measure(self, training: int, guidance_scale: float, /, **label: float) -> None:
        """Add the row of a training, with the generator as it is."""
        draw, steps = self.settings.seeds[0], self.settings.num_inference_steps
        images = self.generator.images(self.ids, self.captions, training, draw, steps, guidance_scale)
        self.rows.append(self.judge.score(images, self.ids, **label, seed=training))

    def write(self, name: str, label: str, given: Sequence[float] = ()) -> pd.DataFrame:
        """Write the rows (label, seed, n, fid, kid, accuracies) to plots/<name>.csv, and their picture beside it.

        Args:
            label: the name of the first column for people.
            given: its values at which nothing was trained.

        Returns:
            `over_trainings` of FID.
        """
        table = pd.DataFrame(self.rows)
        first = str(table.columns[0])
        table = table.sort_values([first, "seed"], kind="stable")
        write_csv(f"plots/{name}.csv", table)
        plot_curve(f"plots/{name}.png", table, label, given)
        return over_trainings(table, "fid", given)


def over_trainings(table: pd.DataFrame, measure: str, given: Sequence[float] = ()) -> pd.DataFrame:
    """The mean of a measure over trainings by the first column, with its 95 % interval: columns mean, low, high.

    The spread is pooled over the points of the curve. The same trainings stand at each of them, so that it has the
    freedom of fewer points than are counted, and an interval is rather too narrow. It is absent for one training,
    and at the points `given`, where nothing was trained.
    """
    points = {x: rows[measure].astype(float).tolist() for x, rows in table.groupby(str(table.columns[0]))}
    result = pd.DataFrame({"mean": {x: sum(values) / len(values) for x, values in points.items()}})
    trained = {x: values for x, values in points.items() if x not in given}
    relative = measure in RELATIVE and min(map(sum, trained.values())) > 0
    spread = pooled_spread({f"{x:g}": values for x, values in trained.items()}, relative=relative)
    for x, values in trained.items() if spread.freedom else ():
        result.loc[x, ["low", "high"]] = mean_interval(result.loc[x, "mean"], len(values), spread)
    return result.reindex(columns=["mean", "low", "high"])


def point(name: str, row: pd.Series) -> dict[str, float]:
    """Flat metrics of one point of `over_trainings`: `<name>`, and where it is known `<name>_low`, `<name>_high`."""
    named = {name: row["mean"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return {key: float(value) for key, value in named.items() if pd.notna(value)}


def plot_curve(path: str | Path, table: pd.DataFrame, label: str, given: Sequence[float] = ()) -> None:
    """Draw fid and, where known, class accuracy over the first column: a PNG of the same bytes every time."""
    from matplotlib.figure import Figure

    accuracies = [name for name in table if name.endswith("_accuracy") and table[name].notna().any()]
    measures = {"fid": "FID"} | {name: name.replace("_", " ") for name in accuracies}
    figure = Figure(figsize=(4.2 * len(measures), 3))
    for axis, (column, name) in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures.items(), strict=True):
        curve = over_trainings(table, column, given)
        bars = [curve["mean"] - curve["low"], curve["high"] - curve["mean"]]
        axis.errorbar(curve.index, curve["mean"], yerr=bars, marker="o", capsize=2)
        axis.set(xlabel=label, ylabel=name)
        axis.margins(y=0.15)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
