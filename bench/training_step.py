"""What the training loop costs beside forward, backward and optimizer, and its speed against a plain loop.

    python bench/training_step.py                        # the miniature, on a CPU
    python bench/training_step.py --device cuda --size sd3 --dtype bfloat16

Two numbers count: the share of the loop's step time outside forward, backward and optimizer (with clipping),
to be at most 5 %; and images per second over those of a loop that repeats one ready batch, to be near 1.
"""

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers.models import SD3Transformer2DModel
from torch import nn

from difflab.core.base import rng
from difflab.core.params.common import RuntimeParams
from difflab.models.params import LoraParams
from difflab.sd3.adapters import adapt
from difflab.sd3.caching.latent_writer import pack
from difflab.sd3.training import flow_training
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.examples import Examples
from difflab.sd3.training.latents import LatentTable
from difflab.training.params import DensityParams, FlowTrainingParams

SIZES = {  # latent side, tokens, joint and pooled width, network
    "tiny": (8, 48, 128, 96, {"num_layers": 4, "num_attention_heads": 4, "attention_head_dim": 32}),
    "sd3": (64, 154, 4096, 2048, {"num_layers": 24, "num_attention_heads": 24, "attention_head_dim": 64}),
}


class Stopwatch:
    """Adds up the time of some calls: wall time on a CPU, device time on a GPU (no synchronisation)."""

    def __init__(self, device: torch.device) -> None:
        self.gpu, self.spans = device.type == "cuda", []

    def now(self) -> "float | torch.cuda.Event":
        if not self.gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def timed(self, call: Callable) -> Callable:
        def wrapper(*args: object, **kwargs: object) -> object:
            start = self.now()
            result = call(*args, **kwargs)
            self.spans.append((start, self.now()))
            return result

        return wrapper

    def between(self, start: "float | torch.cuda.Event", end: "float | torch.cuda.Event") -> float:
        return start.elapsed_time(end) / 1000 if self.gpu else end - start


class Prompts:
    """Random rows in place of a `PromptTable`."""

    empty_row = 0

    def __init__(self, count: int, tokens: int, joint: int, pooled: int) -> None:
        self.embeds, self.pooled = torch.randn(count, tokens, joint), torch.randn(count, pooled)

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.embeds[rows], self.pooled[rows]


def setting(size: str, batch_size: int, steps: int) -> tuple[nn.Module, Examples, FlowTrainingParams]:
    side, tokens, joint, pooled, network = SIZES[size]
    ids = [f"hq-{n:05d}" for n in range(max(64, 2 * batch_size))]
    mean = rng.normal(rng.id_keys(ids), (16, side, side))
    latents = LatentTable(ids, [pack(mean, mean - 4, None, torch.bfloat16)], shift_factor=0.0, scaling_factor=1.0)
    rows = torch.arange(len(ids))[:, None] + 1
    examples = Examples(latents, Prompts(len(ids) + 1, tokens, joint, pooled), ids, rows)
    width = network["num_attention_heads"] * network["attention_head_dim"]
    transformer = SD3Transformer2DModel(
        sample_size=side, in_channels=16, out_channels=16, joint_attention_dim=joint,
        caption_projection_dim=width, pooled_projection_dim=pooled, pos_embed_max_size=side, **network,
    )  # fmt: skip
    settings = FlowTrainingParams(
        steps=steps, batch_size=batch_size, gradient_accumulation_steps=1, learning_rate=1e-4, adam_beta1=0.9,
        adam_beta2=0.999, adam_epsilon=1e-8, weight_decay=1e-4, lr_scheduler="cosine", lr_warmup_steps=0,
        lr_num_cycles=1, lr_power=1.0, max_grad_norm=1.0, ema_decay=0.0, prompt_dropout=0.2,
        prediction_loss="velocity", gradient_checkpointing=False, validation_interval=steps,
        checkpoint_interval=10 * steps, log_interval=steps,
    )  # fmt: skip
    return transformer, examples, settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warmup", type=int, default=5, help="first steps that do not count")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    runtime = RuntimeParams(num_threads=args.threads, device=args.device, dtype=args.dtype, compile=args.compile)
    density = SigmaDensity(
        DensityParams(weighting_scheme="logit_normal", convention="diffusers", logit_std=1, mode_scale=1.29, shift=3),
        0.0,
    )
    transformer, examples, settings = setting(args.size, args.batch_size, args.steps)
    transformer.to(torch.bfloat16 if args.dtype == "bfloat16" else torch.float32)
    adapt(transformer, LoraParams(rank=16, alpha=16, targets=["attn"], blocks="all"), seed=0)

    watch = Stopwatch(torch.device(args.device))
    marks = mark_steps(watch, args.warmup)
    with contextlib.redirect_stdout(io.StringIO()) as status:
        flow_training.train_flow(
            transformer, examples, None, settings, density, seed=0, runtime=runtime,
            scratch=Path(tempfile.mkdtemp()), what="bench",
        )  # fmt: skip
    print(status.getvalue().strip())
    (first, _), (last, spans) = marks[0], marks[-1]
    loop, steps = watch.between(first, last), len(marks) - 1
    share = 1 - sum(watch.between(*span) for span in watch.spans[:spans]) / loop
    rate = steps * args.batch_size / loop
    plain = args.batch_size / plain_loop(transformer, examples, settings, density, runtime, args.warmup)
    print(f"outside forward, backward and optimizer: {share:.1%} of {1000 * loop / steps:.1f} ms a step")
    print(f"{rate:.1f} images/s, a plain loop {plain:.1f}: ratio {rate / plain:.3f}")


def mark_steps(watch: Stopwatch, warmup: int) -> list:
    """Time what counts as inside; the list fills with (start of a step, number of spans before it)."""
    from accelerate import Accelerator

    marks, left = [], [warmup]
    real = Examples.training_batch

    def batch(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            watch.spans.clear()
        if left[0] < 0:
            marks.append((watch.now(), len(watch.spans)))
        return real(*args, **kwargs)

    Examples.training_batch = batch
    flow_training.flow_loss = watch.timed(flow_training.flow_loss)
    Accelerator.backward = watch.timed(Accelerator.backward)
    nn.utils.clip_grad_norm_ = watch.timed(nn.utils.clip_grad_norm_)
    torch.optim.AdamW.step = watch.timed(torch.optim.AdamW.step)
    return marks


def plain_loop(
    transformer: nn.Module,
    examples: Examples,
    settings: FlowTrainingParams,
    density: SigmaDensity,
    runtime: RuntimeParams,
    warmup: int,
) -> float:
    """Seconds of a step of the shortest loop: one ready batch again and again, no reports, no draws."""
    device = next(transformer.parameters()).device
    index, keys = examples.stream(0).take(0, settings.batch_size)
    batch = examples.training_batch(index, keys, density, seed=0, prompt_dropout=0.2, device=device)
    parameters = [p for p in transformer.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    transformer.train()
    for step in range(settings.steps + warmup):
        if step == warmup:
            _wait(device)
            started = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=runtime.dtype == "bfloat16"):
            loss = flow_training.flow_loss(transformer, batch, density, "velocity")
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    _wait(device)
    return (time.perf_counter() - started) / settings.steps


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
