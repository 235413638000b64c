"""What the training loop costs beside forward, backward and optimizer, and its speed against a plain loop.

    python bench/training_step.py                        # the miniature, on a CPU
    python bench/training_step.py --device cuda --size sd3 --dtype bfloat16

Two numbers count: the share of the loop's step time outside forward, backward and optimizer (with clipping),
to be at most 5 %; and images per second over those of a loop that repeats one ready batch, to be near 1.

    python bench/training_step.py --record --log-interval 20     # as the published settings; 1 is the worst case

adds what recording costs: the time inside `log_metrics` of a real MLflow run, to be below 1 % of that of the steps.
"""

import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from diffusers.models import SD3Transformer2DModel
from mlflow import MlflowClient
from stopwatch import Loop, Steps, Stopwatch, machine, parser
from torch import nn

from difflab.core import tracking
from difflab.core.base import rng
from difflab.models.params import LoraParams
from difflab.sd3.artifacts.adapters import adapt
from difflab.sd3.caching.latent_writer import pack
from difflab.sd3.training import flow_training
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.examples import Examples
from difflab.sd3.training.latents import LatentTable
from difflab.training.loop import Log
from difflab.training.params import DensityParams, FlowTrainingParams

SIZES = {  # latent side, tokens, joint and pooled width, network
    "tiny": (8, 48, 128, 96, {"num_layers": 4, "num_attention_heads": 4, "attention_head_dim": 32}),
    "sd3": (64, 154, 4096, 2048, {"num_layers": 24, "num_attention_heads": 24, "attention_head_dim": 64}),
}
SIZES["sd3-1024"] = (128, *SIZES["sd3"][1:])  # at twice the side
SETTINGS = FlowTrainingParams(
    steps=1, batch_size=64, gradient_accumulation_steps=1, learning_rate=1e-4, adam_beta1=0.9, adam_beta2=0.999,
    adam_epsilon=1e-8, weight_decay=1e-4, lr_scheduler="cosine", lr_warmup_steps=0, lr_num_cycles=1, lr_power=1.0,
    max_grad_norm=1.0, ema_decay=0.0, prompt_dropout=0.2, prediction_loss="velocity", gradient_checkpointing=False,
    validation_interval=10**6, checkpoint_interval=10**6, log_interval=10**6,
)  # fmt: skip
DENSITY = SigmaDensity(
    DensityParams(weighting_scheme="logit_normal", convention="diffusers", logit_std=1, mode_scale=1.29, shift=3), 0.0
)


class Prompts:
    """Random rows in place of a `PromptTable`."""

    empty_row = 0

    def __init__(self, count: int, tokens: int, joint: int, pooled: int) -> None:
        self.embeds, self.pooled = torch.randn(count, tokens, joint), torch.randn(count, pooled)

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.embeds[rows], self.pooled[rows]


def adapted(size: str, dtype: torch.dtype, rank: int = 16) -> nn.Module:
    """A transformer of random weights with a LoRA adapter."""
    side, _, joint, pooled, network = SIZES[size]
    width = network["num_attention_heads"] * network["attention_head_dim"]
    transformer = SD3Transformer2DModel(
        sample_size=side, in_channels=16, out_channels=16, joint_attention_dim=joint,
        caption_projection_dim=width, pooled_projection_dim=pooled, pos_embed_max_size=side, **network,
    )  # fmt: skip
    adapt(transformer.to(dtype), LoraParams(rank=rank, alpha=rank, targets=["attn"], blocks="all"), seed=0)
    return transformer


def random_examples(size: str, batch_size: int) -> Examples:
    side, tokens, joint, pooled, _ = SIZES[size]
    ids = [f"hq-{n:05d}" for n in range(max(64, 2 * batch_size))]
    mean = rng.normal(rng.id_keys(ids), (16, side, side))
    latents = LatentTable(ids, [pack(mean, mean - 4, None, torch.bfloat16)], shift_factor=0.0, scaling_factor=1.0)
    rows = torch.arange(len(ids))[:, None] + 1
    return Examples(latents, Prompts(len(ids) + 1, tokens, joint, pooled), ids, rows)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--size", choices=SIZES, default="tiny")
    options.add_argument("--steps", type=int, default=40)
    options.add_argument("--warmup", type=int, default=5, help="first steps that do not count")
    options.add_argument("--batch-size", type=int, default=64)
    options.add_argument("--device", default="cpu")
    options.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options.add_argument("--compile", action="store_true")
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--gradient-checkpointing", action="store_true")
    options.add_argument("--log-interval", type=int, default=10**6)
    options.add_argument("--record", action="store_true", help="record the run in MLflow")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    transformer = adapted(args.size, torch.bfloat16 if args.dtype == "bfloat16" else torch.float32)
    examples = random_examples(args.size, args.batch_size)
    watch = Stopwatch(torch.device(args.device))
    steps = Steps(transformer, watch)
    calls = [(flow_training, "flow_loss"), (torch.Tensor, "backward"), (nn.utils, "clip_grad_norm_")]
    spent: list[float] = []
    with watch.timing([*calls, (torch.optim.AdamW, "step")]), recorded(spent) if args.record else nullcontext() as log:
        seconds, inside = steps.run(ours(transformer, examples, args, log), args.steps, args.warmup)
    print(steps.said)
    if spent:
        share = sum(spent) / len(spent) / (seconds * args.log_interval)
        print(f"{len(spent)} records of {1e6 * sum(spent) / len(spent):.0f} us: {share:.4%} of the time")
    plain_seconds, _ = steps.run(plain(transformer, examples, args), args.steps, args.warmup)
    rate, plain_rate = args.batch_size / seconds, args.batch_size / plain_seconds
    print(f"outside forward, backward and optimizer: {1 - inside:.1%} of {1000 * seconds:.1f} ms a step")
    print(f"{rate:.1f} images/s, a plain loop {plain_rate:.1f}: ratio {rate / plain_rate:.3f}")


@contextmanager
def recorded(spent: list[float]) -> Iterator[Log]:
    """Log to a run of a new MLflow database, whose seconds go into `spent`."""
    os.environ["DVC_ROOT"] = tempfile.mkdtemp()
    record = tracking.start_record("bench", "python -m stages.bench.training_step", {"seed": 0}, {})
    run = tracking.Run(record, [])

    def log(values: Mapping[str, float], step: int) -> None:
        started = time.perf_counter()
        run.log_metrics(values, step=step)
        spent.append(time.perf_counter() - started)

    yield log
    run.end("FINISHED")
    (stored,) = MlflowClient(record["uri"]).search_runs(["1"])
    assert stored.info.status == "FINISHED"


def ours(transformer: nn.Module, examples: Examples, args: Namespace, log: Log | None) -> Loop:
    """`train_flow`."""
    runtime = machine(args)

    def loop(steps: int) -> None:
        given = {"steps": steps, "batch_size": args.batch_size, "log_interval": args.log_interval}
        given["gradient_checkpointing"] = args.gradient_checkpointing
        settings = SETTINGS.model_copy(update=given)
        with tempfile.TemporaryDirectory() as scratch:
            flow_training.train_flow(
                transformer, examples, None, settings, DENSITY, seed=0, runtime=runtime, scratch=Path(scratch),
                what="bench", log=log or (lambda values, step: None),
            )  # fmt: skip

    return loop


def plain(transformer: nn.Module, examples: Examples, args: Namespace) -> Loop:
    """The shortest loop: one ready batch again and again, no reports, no draws."""
    device = next(transformer.parameters()).device
    index, keys = examples.stream(0).take(0, args.batch_size)
    batch = examples.training_batch(index, keys, DENSITY, seed=0, prompt_dropout=0.2, device=device)
    parameters = [p for p in transformer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)

    def loop(steps: int) -> None:
        transformer.train()
        for _ in range(steps):
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=args.dtype == "bfloat16"):
                loss = flow_training.flow_loss(transformer, batch, DENSITY, "velocity")
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return loop


if __name__ == "__main__":
    main()
