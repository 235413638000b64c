"""What looking inside costs: capturing beside plain generation, a click, and a cut of 13,287 tokens.

python bench/attention.py          # generation with and without capture of the miniature, then the cut
python bench/attention.py --cut    # the cut alone: needs no models

13,287 tokens are those of three pictures of Stable Diffusion 3: 3 x (64 x 64 patches + 77 + 256 tokens of text).
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

import numpy as np  # noqa: E402
import torch  # noqa: E402

from difflab.attention import ncut  # noqa: E402

TOKENS, WIDTH, EIGENVECTORS = 13_287, 64, 30
PICTURES, REPEATS = 16, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cut", action="store_true")
    torch.set_num_threads(1)
    if not parser.parse_args().cut:
        capturing()
    cutting()


def capturing() -> None:
    """Seconds of processor to generate pictures of the miniature plainly and with every block at every step streamed."""
    from difflab.attention.affinity import affinities, tokens
    from difflab.attention.records import StoredRecords, streamed
    from difflab.core.params import load_params
    from difflab.models.sampling.latent_images import initial_noise
    from difflab.sd3.artifacts.prompt_embeds import open_prompts
    from difflab.sd3.sampling import load_generator, sample

    params = load_params()
    prompts = open_prompts([])
    generator = load_generator(prompts, params.runtime, params.seed, PICTURES)
    config, settings = generator.transformer.config, params.generate
    noise = initial_noise(
        [str(n) for n in range(PICTURES)], (config.in_channels, config.sample_size, config.sample_size), 0, 0
    )
    given = (noise, *prompts.gather(torch.arange(1, PICTURES + 1)), *prompts.gather(torch.zeros(1, dtype=torch.int64)))

    def generate():
        arguments = settings.num_inference_steps, settings.guidance_scale, *given
        return sample(generator.transformer, generator.scheduler, *arguments)

    generate()
    plain, with_capture = [], []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(REPEATS):
            plain.append(seconds(generate))
            kept = Path(folder) / str(repeat)

            def capture(kept=kept):
                with streamed(generator.transformer, kept, rows=slice(PICTURES, None)):
                    generate()

            with_capture.append(seconds(capture))
        size = sum(file.stat().st_size for file in kept.iterdir())
        print(
            f"{PICTURES} pictures, {settings.num_inference_steps} steps with guidance, every block, least of {REPEATS}:"
        )
        print(
            f"  plain {min(plain):.3f} s, captured {min(with_capture):.3f} s, {min(with_capture) / min(plain):.2f} times"
        )
        print(f"  {size / 1e6:.1f} MB of float16 in safetensors, {size / PICTURES / 1e6:.2f} MB a picture")
        held = tokens([(StoredRecords(kept), n) for n in range(3)])
        print(f"  a click on three pictures: {1e3 * seconds(lambda: affinities(held, 'attention', [0])):.1f} ms")


def cutting() -> None:
    """Seconds of processor and memory of a cut by landmarks, and of a click, at full size."""
    from difflab.attention.affinity import Tokens, affinities

    generator = np.random.default_rng(0)
    label = generator.integers(12, size=TOKENS)
    features = generator.standard_normal((12, WIDTH))[label] + 0.7 * generator.standard_normal((TOKENS, WIDTH))
    before = peak()
    took = seconds(lambda: ncut.colours(ncut.cut_features(features, EIGENVECTORS)))
    print(f"cut of {TOKENS:,} tokens, {EIGENVECTORS} eigenvectors, {ncut.LANDMARKS:,} landmarks, with colours:")
    print(f"  {took:.1f} s of one core, {peak() - before:.2f} GB above the features")
    part = torch.from_numpy(features).float().expand(24, -1, -1)
    held = Tokens(part, part, part, part)
    print(f"  a click, 24 heads: {1e3 * seconds(lambda: affinities(held, 'attention', [0])):.0f} ms")


def seconds(work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def peak() -> float:
    """The most memory that the process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
