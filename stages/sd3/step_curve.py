"""Measure one cell at its kept training steps, from the base (step 0) on."""

import re
from pathlib import Path

from difflab.core.base.errors import DifflabError
from difflab.core.base.stage import Stage, run
from difflab.sd3.params import StepCurveInputs
from difflab.sd3.scoring.sampling_curve import SamplingCurve


def main(stage: Stage[StepCurveInputs]) -> None:
    params = stage.params
    curve = SamplingCurve(params.step_curve, params.generate, params.score, params.runtime, params.seed)
    for step, folder in adapters(curve.cell):
        curve.generator.use_adapter(folder)
        stage.run.log_metrics({"fid": curve.measure(params.generate.guidance_scale, step=step)}, step=step)
    fid = curve.write("step_curve", "training step")["fid"].tolist()
    metrics = {"n": len(curve.ids), "ruler": curve.judge.extractor.ruler, "first_fid": fid[0], "last_fid": fid[-1]}
    stage.write_metrics("metrics/step_curve.json", metrics)
    stage.done(f"wrote plots/step_curve.csv, FID {fid[0]:.4g} -> {fid[-1]:.4g}")


def adapters(cell: Path) -> list[tuple[int, Path | None]]:
    """The base as step 0 without an adapter, then the kept adapters by training step."""
    folders = [path for path in (cell / "checkpoints").glob("step-*") if re.fullmatch(r"step-\d+", path.name)]
    if not folders:
        raise DifflabError(f"{cell} keeps no adapters of single steps: set finetune.adapter_steps")
    return [(0, None), *sorted((int(path.name.removeprefix("step-")), path) for path in folders)]


if __name__ == "__main__":
    run(main)
