"""What one GPU makes of the heavy stages, with random weights of the released sizes: at most ten minutes.

    python bench/gpu.py              # a GPU with 80 GB; --batch-sizes 3 for 24 GB
    python bench/gpu.py --tiny       # every part at the size of a toy, on the CPU: whether the script works

Fine-tuning prints images per second, the model FLOPs utilisation (MFU, to be 35 % or more) and peak memory, to be held
against SimpleTuner's .529 s a step of three pictures of 1024 px, 34.6 GiB (H100, rank 128). Then captioning, caching and
generation per second, and bench/denoising.py: the U-Net of CIFAR-10 beside a plain loop of diffusers.
Parts that do not fit the card say so, and the others follow; what would begin after --minutes is left out.
"""

import gc
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from diffusers.models import AutoencoderKL, SD3Transformer2DModel
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler
from diffusers.utils import logging
from stopwatch import Steps, Stopwatch, parser
from torch import nn
from training_step import SIZES, adapted, ours, random_examples

from difflab.core.base import runtime
from difflab.models.sampling.latent_images import decode
from difflab.sd3.caching.latent_writer import moments
from difflab.sd3.sampling import sample
from difflab.training import flops

PEER = "SimpleTuner on an H100: 5.67 images/s, 37.2 GB"
VAE = {"tiny": (8, 8, 8, 8), "sd3": (128, 256, 512, 512)}
Part = tuple[str, Callable[[], str]]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--tiny", action="store_true")
    options.add_argument("--batch-sizes", type=int, nargs="+", default=[3, 6, 12])
    options.add_argument("--rank", type=int, default=128)
    options.add_argument("--steps", type=int, default=6, help="of fine-tuning that count")
    options.add_argument("--minutes", type=float, default=10)
    args = options.parse_args()
    args.device = "cuda" if torch.cuda.is_available() and not args.tiny else "cpu"
    if args.device == "cpu" and not args.tiny:
        sys.exit("no NVIDIA GPU is visible: --tiny runs every part at the size of a toy")
    if args.tiny:
        args.batch_sizes, args.steps, args.rank = args.batch_sizes[:1], 1, 4
    args.dtype, args.threads = "float32" if args.tiny else "bfloat16", 1 if args.tiny else 8
    runtime.configure(args.threads)
    logging.set_verbosity_error()
    print(torch.cuda.get_device_name() if args.device == "cuda" else "CPU", f"torch {torch.__version__}", sep=", ")
    started = time.monotonic()
    for name, part in parts(args):
        if time.monotonic() - started > 60 * args.minutes:
            print(f"{name}: left out, {args.minutes:g} minutes are over")
            continue
        if args.device == "cuda":
            gc.collect()  # what the part before has left in cycles
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            print(f"{name}: {part()}, {peak(args)}", flush=True)
        except torch.cuda.OutOfMemoryError:
            print(f"{name}: does not fit this card", flush=True)


def parts(args: Namespace) -> Iterator[Part]:
    """Everything that is measured, the most important first."""
    for size in ["tiny"] if args.tiny else ["sd3-1024", "sd3"]:
        for batch_size in args.batch_sizes:
            for checkpointing in (False, True):
                given = Namespace(**{**vars(args), "batch_size": batch_size, "gradient_checkpointing": checkpointing})
                what = f"LoRA, {8 * SIZES[size][0]} px, batch {batch_size}" + ", checkpointed" * checkpointing
                yield what, lambda size=size, given=given: fine_tuning(size, given)
    size = "tiny" if args.tiny else "sd3-1024"
    yield "generation, 28 steps with guidance", lambda: generation(size, args)
    yield "caching of latents", lambda: caching(size, args)
    yield "caching of prompts", lambda: embedding(args)
    yield "captioning, 20 tokens", lambda: captioning(args)
    yield "U-Net of CIFAR-10", lambda: denoising(args)


def fine_tuning(size: str, args: Namespace) -> str:
    """`train_flow` on random latents and prompts."""
    device, (side, tokens, joint, pooled, _) = torch.device(args.device), SIZES[size]
    transformer = drawn(size, args)
    inputs = inputs_of(transformer, 1, side, tokens, joint, pooled)
    each = flops.step_flops(transformer, flops.count(lambda: transformer(**inputs)))
    settings = Namespace(**{**vars(args), "compile": False, "log_interval": 10**6})
    loop = ours(transformer, random_examples(size, args.batch_size), settings, None)
    seconds, *_ = Steps(transformer, Stopwatch(device)).run(loop, args.steps, 0 if args.tiny else 2)
    rate, most = args.batch_size / seconds, flops.peak_flops(device)
    used = f", MFU {rate * each / most:.1%}" if most else ""
    peer = f" ({PEER})" if size == "sd3-1024" and args.batch_size == 3 else ""
    return f"{rate:.2f} images/s{used}{peer}"


def generation(size: str, args: Namespace) -> str:
    """`sample` and `decode` at the batch size of the profile `paper`."""
    side, tokens, joint, pooled, _ = SIZES[size]
    count = 2 if args.tiny else 8
    transformer = drawn(size, args).eval()
    vae = autoencoder(args)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    given = inputs_of(transformer, count, side, tokens, joint, pooled)
    texts = given["encoder_hidden_states"], given["pooled_projections"]
    empty = texts[0][:1], texts[1][:1]

    def make() -> None:
        noise = torch.randn(count, 16, side, side, device=args.device)
        decode(vae, sample(transformer, scheduler, 2 if args.tiny else 28, 7.0, noise, *texts, *empty))

    return per_second(make, count, args, warm=False)


def caching(size: str, args: Namespace) -> str:
    """`moments` in float32, two passes an image as with mirrors."""
    vae, side, count = autoencoder(args), 8 * SIZES[size][0], 2 if args.tiny else 4
    images = torch.rand(count, 3, side, side, device=args.device) * 2 - 1
    return per_second(lambda: (moments(vae, images), moments(vae, images.flip(-1))), count, args)


def embedding(args: Namespace) -> str:
    """T5-XXL on 77 tokens: all but a seventh of the work of the three encoders."""
    from transformers import T5Config, T5EncoderModel

    sizes = {"d_model": 4096, "d_ff": 10240, "num_layers": 24, "num_heads": 64, "d_kv": 64}
    if args.tiny:
        sizes = {"d_model": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "d_kv": 8}
    config = T5Config(vocab_size=32128, feed_forward_proj="gated-gelu", **sizes)
    count = 2 if args.tiny else 32
    model = made(lambda: T5EncoderModel(config), args)
    tokens = torch.randint(0, 32128, (count, 77), device=args.device)
    return per_second(lambda: model(tokens), count, args)


def captioning(args: Namespace) -> str:
    """BLIP-2 with a Flan-T5-XL, greedily."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2QFormerConfig, Blip2VisionConfig, T5Config

    if args.tiny:
        small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        vision = Blip2VisionConfig(image_size=28, patch_size=14, **small)
        bridge = Blip2QFormerConfig(encoder_hidden_size=16, **small)
        text = T5Config(d_model=16, d_ff=32, num_layers=1, num_decoder_layers=1, num_heads=2, d_kv=8, vocab_size=100)
    else:
        vision, bridge = Blip2VisionConfig(), Blip2QFormerConfig()
        text = T5Config(d_model=2048, d_ff=5120, num_layers=24, num_decoder_layers=24, num_heads=32, d_kv=64,
                        vocab_size=32128, feed_forward_proj="gated-gelu")  # fmt: skip
    text.bos_token_id, text.decoder_start_token_id = 1, 0
    config = Blip2Config(vision_config=vision, qformer_config=bridge, text_config=text, image_token_index=99)
    count, model = 2 if args.tiny else 32, made(lambda: Blip2ForConditionalGeneration(config), args)
    pixels = torch.rand(count, 3, vision.image_size, vision.image_size, device=args.device, dtype=model.dtype)
    length = {"min_new_tokens": 20, "max_new_tokens": 20, "do_sample": False}
    return per_second(lambda: model.generate(pixel_values=pixels, **length), count, args)


def denoising(args: Namespace) -> str:
    """bench/denoising.py at the size of DDPM's network for CIFAR-10 (35.7 million parameters), in a process of its own."""
    sizes = "--widths 128 256 256 256 --attention 1 --layers 2 --batch-size 128 --steps 20 --rounds 3 --images 4096"
    if args.tiny:
        sizes = "--widths 8 8 --batch-size 4 --steps 1 --warmup 1 --rounds 1 --images 16"
    command = [sys.executable, str(Path(__file__).with_name("denoising.py")), *sizes.split()]
    command += ["--dtype", args.dtype, "--threads", str(args.threads)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "; ".join(line for line in said.splitlines() if "images/s" in line)


def drawn(size: str, args: Namespace) -> nn.Module:
    """The transformer with its adapter, drawn on the device: on a CPU two thousand million numbers take half a minute."""
    with torch.device(args.device):
        transformer = adapted(size, runtime.resolve_dtype(args.dtype), args.rank)
    return transformer.to(args.device)


def autoencoder(args: Namespace) -> AutoencoderKL:
    """SD3's, in float32."""
    sizes = {"block_out_channels": VAE["tiny" if args.tiny else "sd3"], "latent_channels": 16, "norm_num_groups": 8}
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    with torch.device(args.device):
        vae = AutoencoderKL(down_block_types=down, up_block_types=up, layers_per_block=2, shift_factor=0.06,
                            scaling_factor=1.53, use_quant_conv=False, use_post_quant_conv=False, **sizes)  # fmt: skip
    return vae.eval()


def made(build: Callable[[], nn.Module], args: Namespace) -> nn.Module:
    """A model of random weights, drawn on the device in the precision that it runs in."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(runtime.resolve_dtype(args.dtype))
    try:
        with torch.device(args.device):
            return build().eval()
    finally:
        torch.set_default_dtype(before)


def inputs_of(transformer: SD3Transformer2DModel, count: int, side: int, tokens: int, joint: int, pooled: int) -> dict:
    """Random inputs of an SD3 transformer."""
    device, dtype = transformer.device, transformer.dtype
    return {
        "hidden_states": torch.randn(count, 16, side, side, device=device, dtype=dtype),
        "timestep": torch.full((count,), 500.0, device=device),
        "encoder_hidden_states": torch.randn(count, tokens, joint, device=device, dtype=dtype),
        "pooled_projections": torch.randn(count, pooled, device=device, dtype=dtype),
    }


@torch.no_grad()
def per_second(call: Callable[[], object], count: int, args: Namespace, warm: bool = True) -> str:
    """How often a second a call does `count` things, of two calls after one to warm up."""
    calls = 2 if warm else 1
    if warm:
        call()
    if args.device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(calls):
        call()
    if args.device == "cuda":
        torch.cuda.synchronize()
    return f"{calls * count / (time.perf_counter() - started):.2f} a second"


def peak(args: Namespace) -> str:
    """The most memory since the part began; on a CPU, since the script did."""
    used = runtime.peak_memory()
    return f"{used['gpu_gb']:.1f} GB" if args.device == "cuda" else f"{used['host_gb']:.1f} GB of the host"


if __name__ == "__main__":
    main()
