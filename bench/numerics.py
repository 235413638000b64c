"""Whether this processor computes the bytes of docs/numerics.md: hashes of the operations that the study is made of.

python bench/numerics.py              # as runtime.numerics: pinned computes; exit status 1 where a hash differs
python bench/numerics.py --mode fast  # whatever the processor has and the environment says
"""

import argparse
import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

from difflab.core.base import numerics, runtime  # noqa: E402

if TYPE_CHECKING:
    import numpy as np
    import torch

GOLDEN = ROOT / "docs" / "numerics.md"
ROW = re.compile(r"^\| (.+?) \| `([0-9a-f]{8})` \|", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["pinned", "fast"], default="pinned")
    mode = parser.parse_args().mode
    if unpinned := numerics.pin(mode):
        print(unpinned)
    golden, found = dict(ROW.findall(GOLDEN.read_text())), dict(hashes())
    print(f"{processor()}, {mode}\n| operation | hash | docs/numerics.md |\n|---|---|---|")
    for name, digest in found.items():
        print(
            f"| {name} | `{digest}` | {'the same' if golden.get(name) == digest else golden.get(name, 'not there')} |"
        )
    differing = [name for name, digest in found.items() if golden.get(name) != digest]
    print(f"differs: {', '.join(differing)}" if differing else "all of these hashes are those of docs/numerics.md")
    sys.exit(bool(differing))


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    wide = [flag for flag in ("avx2", "avx512f", "amx_tile") if re.search(rf"^flags.*\b{flag}\b", text, re.MULTILINE)]
    return f"{named[1] if named else os.uname().machine} ({', '.join(wide) or 'no AVX2'})"


def hashes() -> Iterator[tuple[str, str]]:
    """The name of each operation and 8 digits of the SHA-256 of its result and its gradients."""
    import numpy as np
    import torch
    from torch.nn import functional

    runtime.configure(1)
    torch.use_deterministic_algorithms(True)
    for name, values in [*of_torch(functional), *of_the_study(), *of_numpy()]:
        arrays = [value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes() for value in values]
        yield name, hashlib.sha256(b"".join(arrays)).hexdigest()[:8]


def numbers(*shape: int) -> "torch.Tensor":
    """float32 in [-1, 1), by integer arithmetic."""
    import numpy as np
    import torch

    bits = (np.arange(np.prod(shape), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return torch.from_numpy((bits.astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(shape))


def with_gradients(function: Callable, *inputs: "torch.Tensor") -> "list[np.ndarray]":
    leaves = [x.requires_grad_() for x in inputs]
    result = function(*leaves)
    (result * numbers(*result.shape)).sum().backward()
    return [result.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


def of_torch(f) -> Iterator[tuple[str, list]]:
    import torch

    cases: dict[str, tuple[Callable, list[tuple[int, ...]]]] = {
        "linear 3712x128x512": (f.linear, [(3712, 128), (512, 128)]),
        "linear 64x128x768": (f.linear, [(64, 128), (768, 128)]),
        "linear 1200x96x96": (f.linear, [(1200, 96), (96, 96)]),
        "linear 16x3136x10": (f.linear, [(16, 3136), (10, 3136)]),
        "linear 2x96x96": (f.linear, [(2, 96), (96, 96)]),
        "linear 476x256x64": (f.linear, [(476, 256), (64, 256)]),
        "product with a vector": (torch.mv, [(96, 128), (128,)]),
        "attention": (f.scaled_dot_product_attention, [(16, 4, 58, 32)] * 3),
        "attention of 8 channels": (f.scaled_dot_product_attention, [(16, 4, 20, 8)] * 3),
        "convolution 3x3": (lambda x, w: f.conv2d(x, w, padding=1), [(16, 32, 32, 32), (32, 32, 3, 3)]),
        "convolution, stride 2": (lambda x, w: f.conv2d(x, w, stride=2, padding=1), [(8, 16, 32, 32), (32, 16, 3, 3)]),
        "convolution 1x1": (f.conv2d, [(16, 64, 16, 16), (96, 64, 1, 1)]),
        "convolution 1x1, few pictures": (f.conv2d, [(8, 16, 16, 16), (32, 16, 1, 1)]),
        "convolution 3x3, one picture": (lambda x, w: f.conv2d(x, w, padding=1), [(1, 64, 16, 16), (64, 64, 3, 3)]),
        "convolution, channels last": (
            lambda x, w: f.conv2d(x.to(memory_format=torch.channels_last), w, padding=1),
            [(8, 32, 32, 32), (64, 32, 3, 3)],
        ),
        "group norm": (lambda x: f.group_norm(x, 8), [(16, 64, 16, 16)]),
        "layer norm": (lambda x: f.layer_norm(x, (128,)), [(3712, 128)]),
        "gelu, silu, tanh": (lambda x: f.gelu(x) + f.silu(x) + f.gelu(x, approximate="tanh"), [(1200, 128)]),
        "softmax": (lambda x: f.softmax(x, -1), [(3712, 58)]),
        "cross entropy": (lambda x: f.cross_entropy(x, torch.arange(3712) % 58)[None], [(3712, 58)]),
        "exp, log, sqrt": (lambda x: (x.exp() + 1).log() + (x + 1.1).sqrt(), [(1200, 128)]),
        "sin, cos": (lambda x: x.sin() + (9 * x).cos(), [(1200, 128)]),
    }
    for name, (function, shapes) in cases.items():
        yield name, with_gradients(function, *(numbers(*shape) for shape in shapes))


def of_the_study() -> Iterator[tuple[str, list]]:
    import torch
    from torch import nn

    from difflab.core.base import rng

    yield "noise", [rng.normal(torch.arange(16), (4, 16, 16)).numpy()]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.SiLU(), nn.Flatten(), nn.Linear(3136, 10))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(numbers(16, 3, 16, 16)), torch.arange(16) % 10).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0, foreach=True)
        optimizer.step()
    yield "three training steps", [p.detach().numpy() for p in network.parameters()]


def of_numpy() -> Iterator[tuple[str, list]]:
    import numpy as np
    from PIL import Image
    from scipy.linalg import eigh

    matrix = numbers(96, 300).numpy().astype(np.float64)
    yield "numpy matmul", [matrix @ matrix.T]
    yield "numpy exp, log", [np.exp(matrix), np.log(matrix + 2)]
    yield "scipy eigh", [*eigh(matrix @ matrix.T)]
    image = Image.fromarray((numbers(64, 64, 3).numpy() * 100 + 128).astype(np.uint8))
    yield "pillow lanczos", [np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS))]
    for kind in ("png", "jpeg"):
        image.save(buffer := io.BytesIO(), kind)
        yield f"{kind} bytes", [buffer.getvalue()]


if __name__ == "__main__":
    main()
