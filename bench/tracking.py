"""What recording to MLflow costs a training: time inside `log_metrics` against the time of the steps between.

    python bench/tracking.py                       # every 20 steps, as the published settings
    python bench/tracking.py --log-interval 1      # the worst case

The run is a real one: the recorder writes it to a database. The share is to be below 1 %.
"""

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from training_step import setting

from difflab.core import tracking
from difflab.core.params.common import RuntimeParams
from difflab.models.params import LoraParams
from difflab.sd3.adapters import adapt
from difflab.sd3.training import flow_training
from difflab.sd3.training.density import SigmaDensity
from difflab.training.params import DensityParams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--log-interval", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformer, examples, settings = setting("tiny", 64, args.steps)
    settings = settings.model_copy(update={"log_interval": args.log_interval})
    density = DensityParams(
        weighting_scheme="logit_normal", convention="diffusers", logit_std=1, mode_scale=1.29, shift=3
    )
    folder = Path(tempfile.mkdtemp())
    os.environ["DVC_ROOT"] = str(folder)
    record = tracking.start_record("bench", "python -m stages.bench.tracking", {"seed": 0}, {})
    run, spent = tracking.Run(record, []), []

    def log(values: Mapping[str, float], step: int) -> None:
        started = time.perf_counter()
        run.log_metrics(values, step=step)
        spent.append(time.perf_counter() - started)

    with contextlib.redirect_stdout(io.StringIO()):
        adapt(transformer, LoraParams(rank=16, alpha=16, targets=["attn"], blocks="all"), seed=0)
        started = time.perf_counter()
        flow_training.train_flow(
            transformer, examples, None, settings, SigmaDensity(density, 0.0), seed=0,
            runtime=RuntimeParams(
                num_threads=args.threads, device="cpu", dtype="float32", compile=False
            ),
            scratch=folder, what="bench", log=log,
        )  # fmt: skip
        total = time.perf_counter() - started
    run.end("FINISHED")
    from mlflow import MlflowClient

    (stored,) = MlflowClient(record["uri"]).search_runs(["1"])
    assert stored.info.status == "FINISHED"
    print(f"{len(spent)} records in {args.steps} steps of {1000 * total / args.steps:.1f} ms")
    print(f"recording: {sum(spent) / total:.4%} of the time, {1e6 * sum(spent) / len(spent):.0f} us a record")


if __name__ == "__main__":
    main()
