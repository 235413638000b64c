"""Distance and accuracy of one cell's images while one setting of the sampling changes."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from difflab.core.base.files import atomic_path, write_csv
from difflab.images.store.image_store import ImageStore
from difflab.sd3.artifacts.prompt_embeds import open_prompts
from difflab.sd3.sampling import load_generator
from difflab.sd3.scoring.scores import load_judge

if TYPE_CHECKING:
    from difflab.core.params.common import RuntimeParams
    from difflab.sd3.params import CurveParams, GenerateParams, ScoreParams


class SamplingCurve:
    """The curve of one cell: rows of one image per id, of the first seed, which all start from the same noise.

    Attributes:
        ids: the samples whose prompts are used.
        cell: the folder of the cell's adapter.
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
        self.cell = Path("models/finetune") / f"{curve.captions}-{curve.logit_mean}"
        self.judge = load_judge(store, score, runtime.device, seed)
        self.generator = load_generator(open_prompts([curve.captions]), runtime, seed, generate.batch_size)
        self.rows: list[dict] = []

    def measure(self, guidance_scale: float, /, **label: float) -> float:
        """Add a row; returns its FID."""
        seed, steps = self.settings.seeds[0], self.settings.num_inference_steps
        images = self.generator.images(self.ids, self.captions, seed, steps, guidance_scale)
        self.rows.append(self.judge.score(images, self.ids, **label))
        return self.rows[-1]["fid"]

    def write(self, name: str, label: str) -> pd.DataFrame:
        """Write the rows (label, n, fid, kid, accuracies) to plots/<name>.csv, and their picture beside it."""
        table = pd.DataFrame(self.rows)
        write_csv(f"plots/{name}.csv", table)
        plot_curve(f"plots/{name}.png", table, label)
        return table


def plot_curve(path: str | Path, table: pd.DataFrame, label: str) -> None:
    """Draw fid and, where known, class accuracy over the first column: a PNG of the same bytes every time."""
    from matplotlib.figure import Figure

    accuracies = [name for name in table if name.endswith("_accuracy") and table[name].notna().any()]
    measures = {"fid": "FID"} | {name: name.replace("_", " ") for name in accuracies}
    figure = Figure(figsize=(4.2 * len(measures), 3))
    for axis, (column, name) in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures.items(), strict=True):
        axis.plot(table.iloc[:, 0], table[column], marker="o")
        axis.set(xlabel=label, ylabel=name)
        axis.margins(y=0.15)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
