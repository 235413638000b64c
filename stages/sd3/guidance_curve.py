"""Measure one fine-tuned cell at several guidance scales, and where its distance is least."""

from difflab.core.base.stage import Stage, run
from difflab.sd3.params import GuidanceCurveInputs
from difflab.sd3.scoring.sampling_curve import SamplingCurve


def main(stage: Stage[GuidanceCurveInputs]) -> None:
    params = stage.params
    curve = SamplingCurve(params.guidance_curve, params.generate, params.score, params.runtime, params.seed)
    curve.generator.use_adapter(curve.cell)
    for number, scale in enumerate(params.guidance_curve.guidance_scales, start=1):
        stage.run.log_metrics({"fid": curve.measure(scale, guidance_scale=scale)}, step=number)
    table = curve.write("guidance_curve", "guidance scale")
    best = table.loc[table["fid"].idxmin()]
    found = {"best_guidance_scale": float(best["guidance_scale"]), "best_fid": float(best["fid"])}
    stage.write_metrics(
        "metrics/guidance_curve.json", {"n": len(curve.ids), "ruler": curve.judge.extractor.ruler, **found}
    )
    stage.done(f"wrote plots/guidance_curve.csv, least FID {best['fid']:.4g} at {best['guidance_scale']:g}")


if __name__ == "__main__":
    run(main)
