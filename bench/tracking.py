"""What recording to MLflow costs a training: time inside `log_metrics` against the time of the steps between.

    python bench/tracking.py                       # every 20 steps, as the published settings
    python bench/tracking.py --log-interval 1      # the worst case

The run is a real one: the recorder writes it to a database. The share is to be below 1 %.
"""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from mlflow import MlflowClient
from stopwatch import parser
from training_step import DENSITY, SETTINGS, adapted, random_examples

from difflab.core import tracking
from difflab.core.params.common import RuntimeParams
from difflab.sd3.training.flow_training import train_flow


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--steps", type=int, default=120)
    options.add_argument("--log-interval", type=int, default=20)
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    runtime = RuntimeParams(num_threads=args.threads, device="cpu", dtype="float32", compile=False)
    settings = SETTINGS.model_copy(update={"steps": args.steps, "log_interval": args.log_interval})
    transformer, examples = adapted("tiny", torch.float32), random_examples("tiny", settings.batch_size)
    folder = Path(tempfile.mkdtemp())
    os.environ["DVC_ROOT"] = str(folder)
    record = tracking.start_record("bench", "python -m stages.bench.tracking", {"seed": 0}, {})
    run, spent = tracking.Run(record, []), []

    def log(values: Mapping[str, float], step: int) -> None:
        started = time.perf_counter()
        run.log_metrics(values, step=step)
        spent.append(time.perf_counter() - started)

    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        train_flow(
            transformer, examples, None, settings, DENSITY, seed=0, runtime=runtime, scratch=folder, what="bench",
            log=log,
        )  # fmt: skip
    total = time.perf_counter() - started
    run.end("FINISHED")
    (stored,) = MlflowClient(record["uri"]).search_runs(["1"])
    assert stored.info.status == "FINISHED"
    print(f"{len(spent)} records in {args.steps} steps of {1000 * total / args.steps:.1f} ms")
    print(f"recording: {sum(spent) / total:.4%} of the time, {1e6 * sum(spent) / len(spent):.0f} us a record")


if __name__ == "__main__":
    main()
