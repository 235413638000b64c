"""Write the report (reports/report.md and the page reports/index.html), its figures and metrics/summary.json."""

from pathlib import Path

from difflab.core.base.files import atomic_path, write_text
from difflab.core.base.stage import Stage, run
from difflab.report.figures import draw
from difflab.report.page import to_html
from difflab.report.params import ReportInputs
from difflab.report.report import write
from difflab.report.summary import summarise


def main(stage: Stage[ReportInputs]) -> None:
    params = stage.params
    density = params.finetune.density
    trained_on = params.trained_on.model_dump().values()
    means, comparable = params.logit_mean.model_dump(), params.report.comparable
    summary = summarise(means, density.model_dump(), comparable, trained_on=trained_on)
    stage.write_metrics("metrics/summary.json", summary)
    with atomic_path("plots/report") as figures:
        missing = draw(summary, figures, density.logit_std, density.convention, Path(), trained_on)
    text = write(summary, stage.values(), missing)
    write_text("reports/report.md", text)
    write_text("reports/index.html", to_html(text, Path("reports")))
    stage.done(f"wrote reports/index.html; best FID {summary.get('sd3_best_fid', float('nan')):.4g}")


if __name__ == "__main__":
    run(main)
