"""Write the report (reports/index.html, reports/report.md), its figures and metrics/summary.json."""

import tempfile
from pathlib import Path

from difflab.core.base.files import atomic_path, write_text
from difflab.core.stage import Stage, run
from difflab.report import report
from difflab.report.document import to_html, to_markdown
from difflab.report.inputs import Inputs
from difflab.report.params import ReportInputs
from difflab.report.summary import summarise


def main(stage: Stage[ReportInputs]) -> None:
    params = stage.params
    inputs, density = Inputs(), params.finetune.density
    means = params.logit_mean.model_dump()
    summary = summarise(inputs, means, density.model_dump(), params.report.comparable)
    stage.write_metrics("metrics/summary.json", summary)
    with atomic_path("plots/report") as plots, tempfile.TemporaryDirectory() as dark:
        study = report.Study(params.profile, density.convention, density.logit_std, plots, Path(dark))
        sections = report.build(inputs, summary, study)
        page = to_html(report.TITLE, sections)
        text = to_markdown(report.TITLE, sections, Path("reports"))
        text = text.replace(
            f"../{plots.as_posix()}/", "../plots/report/"
        )  # where the pictures are about to stand
    write_text("reports/index.html", page)
    write_text("reports/report.md", text)
    stage.run.log_artifact("reports/index.html")
    missing = f"; {len(inputs.missing)} inputs missing" if inputs.missing else ""
    stage.done(f"wrote reports/index.html; best FID {summary.get('best_fid', float('nan')):.4g}{missing}")


if __name__ == "__main__":
    run(main)
