"""Images per second of the denoising loop beside two others, in one process and in turns.

    uv pip install denoising-diffusion-pytorch
    python bench/denoising.py [--batch-size 32] [--widths 16 32 64] [--rounds 5] [--threads 2]

The others are the Trainer of denoising-diffusion-pytorch, and a loop as in diffusers' example of unconditional
generation (which needs no further package). All three train the same UNet2DModel on the same images, at one
batch size, in one precision (bfloat16 autocast on a GPU), with flips, clipped gradients, and a weight average:
in each step, except that the Trainer renews its own in every tenth. Each reads its images as it always does.

Two numbers count: the median over rounds of images per second over those of another loop in the same round;
and the share of this loop's step time outside forward, backward and optimizer, to be at most 3 %.
"""

import contextlib
import copy
import importlib.util
import itertools
import statistics as st
import tempfile
from argparse import Namespace
from pathlib import Path

import torch
from PIL import Image
from stopwatch import Loop, Steps, Stopwatch, machine, parser
from torch import nn
from torchvision import transforms
from torchvision.datasets import ImageFolder

from difflab.core.base import rng
from difflab.ddpm.common import schedule
from difflab.ddpm.common.denoiser import Denoiser
from difflab.ddpm.common.networks import build_unet
from difflab.ddpm.params import ImageTrainingParams, ObjectiveParams, UNetParams
from difflab.ddpm.training.denoiser_training import TrainingImages, train_denoiser
from difflab.ddpm.training.objective import GaussianNoise, weight
from difflab.training.optimizer import moving_average

SIZE = 32
OURS, PLAIN, TRAINER = "difflab", "plain diffusers loop", "denoising-diffusion-pytorch"
PEER = "denoising_diffusion_pytorch"
OBJECTIVE = ObjectiveParams(
    prediction="epsilon", weighting="epsilon", snr_gamma=5.0, sigma_data=0.5, density="timestep", log_mean=-1.2,
    log_std=1.2,
)  # fmt: skip


def ours(network: nn.Module, pixels: torch.Tensor, args: Namespace) -> Loop:
    """`train_denoiser`, whose forward, backward and optimizer are timed too."""
    ids = [f"bench-{n:05d}" for n in range(len(pixels))]
    table = schedule.linear()
    runtime = machine(args)

    def loop(steps: int) -> None:
        settings = ImageTrainingParams(
            steps=steps, batch_size=args.batch_size, learning_rate=1e-4, weight_decay=1e-6, warmup_steps=0,
            max_grad_norm=1.0, ema_decay=0.995, flip=True, condition_dropout=0.0,
            channels_last=not args.contiguous, validation_interval=steps, checkpoint_interval=steps,
            log_interval=100,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as scratch:
            train_denoiser(
                Denoiser(network, table, "epsilon"), TrainingImages(ids, pixels), GaussianNoise(table, OBJECTIVE),
                lambda sigma: weight(sigma, OBJECTIVE), settings, seed=0, runtime=runtime, scratch=Path(scratch),
                what="bench",
            )  # fmt: skip

    return loop


def plain(network: nn.Module, folder: Path, args: Namespace) -> Loop:
    """The loop of examples/unconditional_image_generation in diffusers, without its logs and samples."""
    from accelerate import Accelerator
    from diffusers import DDPMScheduler
    from diffusers.optimization import get_scheduler

    accelerator = Accelerator(mixed_precision="bf16" if args.dtype == "bfloat16" else "no")
    scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)
    crop = [transforms.Resize(SIZE), transforms.CenterCrop(SIZE), transforms.RandomHorizontalFlip()]
    images = ImageFolder(folder, transforms.Compose([*crop, transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]))
    loader = torch.utils.data.DataLoader(images, batch_size=args.batch_size, shuffle=True, num_workers=args.workers)
    lr = get_scheduler("cosine", optimizer, num_warmup_steps=500, num_training_steps=100_000)
    model, optimizer, loader, lr = accelerator.prepare(network, optimizer, loader, lr)
    average = moving_average(list(model.parameters()), 0.995)  # diffusers' EMAModel
    average.to(accelerator.device)
    batches = itertools.chain.from_iterable(loader for _ in itertools.count())

    def loop(steps: int) -> None:
        model.train()
        for clean, _ in itertools.islice(batches, steps):
            noise = torch.randn_like(clean)
            timesteps = torch.randint(0, 1000, (len(clean),), device=clean.device)
            noisy = scheduler.add_noise(clean, noise, timesteps)
            with accelerator.accumulate(model):
                loss = nn.functional.mse_loss(model(noisy, timesteps, return_dict=False)[0], noise)
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                lr.step()
                optimizer.zero_grad()
            average.step(model.parameters())
            loss.detach().item()  # which its progress bar shows

    return loop


class Wrapped(nn.Module):
    """A network of diffusers as `GaussianDiffusion` expects one."""

    self_condition = random_or_learned_sinusoidal_cond = False

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.channels = self.out_dim = network.config.in_channels

    def forward(self, x: torch.Tensor, time: torch.Tensor, x_self_cond: torch.Tensor | None = None) -> torch.Tensor:
        return self.network(x, time, return_dict=False)[0]


def trainer(network: nn.Module, folder: Path, args: Namespace, results: Path) -> Loop:
    """denoising-diffusion-pytorch's own Trainer, at its defaults but for what all loops share."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Trainer

    diffusion = GaussianDiffusion(Wrapped(network), image_size=SIZE, timesteps=1000, beta_schedule="linear",
                                  objective="pred_noise")  # fmt: skip
    training = Trainer(
        diffusion, str(folder), train_batch_size=args.batch_size, train_lr=1e-4, train_num_steps=0,
        save_and_sample_every=10**9, results_folder=str(results), calculate_fid=False,
        amp=args.dtype == "bfloat16", mixed_precision_type="bf16",
    )  # fmt: skip

    def loop(steps: int) -> None:
        training.train_num_steps += steps
        training.train()

    return loop


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--batch-size", type=int, default=32)
    options.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64], help="of the U-Net's levels")
    options.add_argument("--attention", type=int, nargs="*", default=[], help="levels with attention")
    options.add_argument("--layers", type=int, default=1, help="layers of a block")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--steps", type=int, default=30, help="steps of a round that count")
    options.add_argument("--warmup", type=int, default=5, help="steps before them")
    options.add_argument("--images", type=int, default=8192)
    options.add_argument("--workers", type=int, default=0, help="of the plain loop; the example has 0")
    options.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options.add_argument("--contiguous", action="store_true", help="this loop in the memory layout of the others")
    options.add_argument("--compile", action="store_true", help="this loop with torch.compile")
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    args.device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(args.threads)

    sizes = UNetParams(kind="unet", patch_size=1, block_out_channels=args.widths, layers_per_block=args.layers,
                       attention_levels=args.attention, norm_num_groups=8, attention_head_dim=8)  # fmt: skip
    network = build_unet(sizes, size=SIZE, channels=3, seed=0).to(args.device)
    pixels = (255 * rng.uniform(torch.arange(args.images), (3, SIZE, SIZE))).to(torch.uint8)
    device = torch.device(args.device)
    watch, average = Stopwatch(device), Stopwatch(device)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        (folder / "all").mkdir(parents=True)
        for row, image in enumerate(pixels):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / "all" / f"{row:05d}.png")
        networks = {name: copy.deepcopy(network) for name in (OURS, PLAIN, TRAINER)}
        steps = {name: Steps(copied, watch, average) for name, copied in networks.items()}
        loops = {OURS: ours(networks[OURS], pixels, args), PLAIN: plain(networks[PLAIN], folder, args)}
        if importlib.util.find_spec(PEER):
            loops[TRAINER] = trainer(networks[TRAINER], folder, args, Path(temporary) / "results")
        else:
            print(f"{TRAINER} is not installed: `uv pip install {TRAINER}` adds it to the comparison")
        found = measure(loops, steps, args, watch, average)

    parameters = sum(p.numel() for p in network.parameters())
    print(f"{parameters / 1e6:.2f} million parameters, batch {args.batch_size}, {args.dtype}, {args.device}")
    report(found, args.batch_size)


def measure(
    loops: dict[str, Loop], steps: dict[str, Steps], args: Namespace, watch: Stopwatch, average: Stopwatch
) -> dict[str, list[tuple[float, ...]]]:
    """What `Steps.run` finds for each loop and round; another loop begins each round. Our calls are timed."""
    from diffusers.training_utils import EMAModel

    calls = [(Denoiser, "forward"), (torch.Tensor, "backward"), (nn.utils, "clip_grad_norm_")]
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in loops}
    names = list(loops)
    for number in range(args.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            with contextlib.ExitStack() as stack:
                if name == OURS:
                    stack.enter_context(watch.timing([*calls, (torch.optim.AdamW, "step")]))
                    stack.enter_context(average.timing([(EMAModel, "step")]))
                found[name].append(steps[name].run(loops[name], args.steps, args.warmup))
    return found


def report(found: dict[str, list[tuple[float, ...]]], batch_size: int) -> None:
    seconds = {name: [row[0] for row in rows] for name, rows in found.items()}
    for name, values in seconds.items():
        rate = batch_size / st.median(values)
        line = f"{name:<30}{rate:>9.1f} images/s, {1000 * st.median(values):.1f} ms a step"
        if name != OURS:
            ratios = sorted(theirs / mine for mine, theirs in zip(seconds[OURS], values, strict=True))
            line += f"; {OURS} over it: {st.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        print(line)
    outside = st.median(1 - inside for _, inside, _ in found[OURS])
    averaging = st.median(share for *_, share in found[OURS])
    print(
        f"outside forward, backward and optimizer: {outside:.1%} of the step, of which the weight average "
        f"{averaging:.1%} (at most 3 % wanted)"
    )


if __name__ == "__main__":
    main()
