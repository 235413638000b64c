"""Distance and accuracy of one cell's trainings while one setting of the sampling changes."""

import shutil
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.files import atomic_path, read_json, write_csv, write_json
from difflab.core.base.runtime import process_index
from difflab.core.base.sharding import process_chunks
from difflab.core.base.store.image_store import ImageStore
from difflab.images.generated.reader import GeneratedImages
from difflab.images.generated.writer import write_generated
from difflab.metrics.uncertainty.intervals import mean_interval, pooled_spread, scale_of
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.sampling import Generator, load_generator
from difflab.sd3.scoring.scores import Judge, load_judge

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.sd3.params import GenerateParams, PromptedParams, ScoreParams

BATCHES_PER_CHUNK = 4  # what a killed run loses at most, per process; a chunk's last pictures are encoded by themselves


class SamplingCurve:
    """The curve of one cell: rows of one image per id and training, of the first draw, whose noise is the same each time.

    Work is spread over processes and resumed from `scratch`: finished points as their rows, the one in work as its
    images. So the disk holds the images of one point.

    Attributes:
        ids: the samples whose prompts are used.
        rows: of the points measured so far; none in processes of a launcher but the main one.
    """

    def __init__(
        self,
        curve: "PromptedParams",
        generate: "GenerateParams",
        score: "ScoreParams",
        runtime: "RuntimeParams",
        seed: int,
        scratch: Path,
    ) -> None:
        self.captions, self.settings, self.score, self.scratch = curve.captions, generate, score, scratch
        self.store, self.runtime, self.seed = ImageStore("data/celeba_hq"), runtime, seed
        self.ids = self.store.split(generate.split)[: curve.num_images]
        self.prompts = open_prompts([curve.captions])  # refuses those of other captions at once
        self.rows: list[dict] = []
        self._adapter: Path | None = None

    @cached_property
    def judge(self) -> Judge:
        return load_judge(self.store, self.score, self.runtime.device, self.seed, self._generator.side)

    @cached_property
    def _generator(self) -> Generator:
        settings = self.settings
        return load_generator(self.prompts, self.runtime, self.seed, settings.batch_size, settings.vae)

    def measure(self, training: int, adapter: Path | None, guidance_scale: float, /, **label: float) -> None:
        """Add the row of a training's images by one of its adapters, or by the base (None)."""
        point = " ".join(["training", str(training), *(f"{name} {value}" for name, value in label.items())])
        finished = self.scratch / "points" / f"{point.replace(' ', '-')}.json"
        if finished.exists():
            self.rows += [read_json(finished)] if process_index()[0] == 0 else []
            return
        draw, steps = self.settings.seeds[0], self.settings.num_inference_steps

        def generate(chunk: list[str], path: Path) -> None:
            if self._adapter != adapter:
                self._generator.use_adapter(adapter)
                self._adapter = adapter
            images = self._generator.images(chunk, self.captions, training, draw, steps, guidance_scale)
            write_generated(path, chunk, {draw: images})

        chunk_size = self.settings.batch_size * BATCHES_PER_CHUNK
        parts = process_chunks(self.ids, chunk_size, self.scratch, generate, what=point, suffix=".zip")
        if parts is None:  # a further process of a launcher: the main one scores
            return
        chunks = (self.ids[start : start + chunk_size] for start in range(0, len(self.ids), chunk_size))
        pairs = zip(parts, chunks, strict=True)
        images = chain.from_iterable(GeneratedImages(part).read(draw, ids) for part, ids in pairs)
        row = self.judge.score(images, self.ids, **label, seed=training)
        write_json(finished, row)
        self.rows.append(row)
        shutil.rmtree(parts[0].parent)

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
    scale = scale_of(measure, map(sum, trained.values()))
    spread = pooled_spread({f"{x:g}": values for x, values in trained.items()}, scale)
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
