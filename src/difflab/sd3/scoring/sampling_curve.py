"""Distance and accuracy of one cell's images while one setting of the sampling changes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd

    from difflab.sd3.params.sampling import GenerateParams
    from difflab.sd3.sampling.generator import Generator
    from difflab.sd3.scoring.scores import Judge


def measure(
    judge: "Judge",
    generator: "Generator",
    ids: Sequence[str],
    captions: str,
    settings: "GenerateParams",
    guidance_scale: float,
    /,
    **labels: float,
) -> dict[str, object]:
    """One row of a curve: the labels, n, fid, kid and accuracies of one image per id, of the first seed.

    Noise is keyed by id, so all rows of a curve start from the same noise.
    """
    batches = generator.images(
        ids,
        captions,
        generation_seed=settings.seeds[0],
        num_inference_steps=settings.num_inference_steps,
        guidance_scale=guidance_scale,
    )
    return judge.score((image for batch in batches for image in batch), ids, **labels)


def plot_curve(path: str | Path, table: "pd.DataFrame", x: str, label: str) -> None:
    """Draw fid and, where known, class accuracy over the column `x`: a PNG of the same bytes every time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    accuracies = [name for name in table if name.endswith("_accuracy") and table[name].notna().any()]
    measures = [("fid", "FID"), *((name, name.replace("_", " ")) for name in accuracies)]
    figure, axes = pyplot.subplots(1, len(measures), figsize=(4.2 * len(measures), 3), squeeze=False)
    for axis, (column, name) in zip(axes[0], measures, strict=True):
        axis.plot(table[x], table[column], marker="o")
        axis.set(xlabel=label, ylabel=name)
        axis.margins(y=0.15)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, metadata={"Software": None})
    pyplot.close(figure)
