"""Which operations of the study depend on the processor: recorded from its stages, computed again on two processors.

python bench/operations.py record operations.txt     # in a finished study: what each stage asks of torch in 20 seconds
python bench/operations.py hash operations.txt > a   # on one processor, and on another one > b
python bench/operations.py compare a b               # exit status 1 where hashes differ

A processor of another maker can be emulated, some fifty times as slowly, by Debian's package qemu-user:
qemu-x86_64 -cpu EPYC-Milan .venv/bin/python bench/operations.py hash operations.txt > b
"""

import argparse
import ast
import hashlib
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from difflab.core.base import numerics, runtime  # noqa: E402

SKIPPED = ("check_params", "acquire", "prepare", "report")  # stages without torch
MOST_NUMBERS, MOST_PRODUCTS = 1 << 19, 1e7  # of an operation that is computed again: emulation is slow
MOST_SHAPES = 40  # of an operator, at even distances
PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "linear": (0, 1)}  # which are multiplied
# Operators that move numbers, draw them or give none.
IDLE = (
    "view", "detach", "t.default", "transpose", "empty", "zeros", "ones", "expand", "permute", "lift_fresh",
    "unsqueeze", "squeeze", "select", "slice", "as_strided", "_local_scalar", "set_", "alias", "fill_", "zero_",
    "arange", "scalar_tensor", "is_", "clone", "copy_", "to.dtype", "_to_copy", "split", "unbind", "new_", "full",
    "rand", "bernoulli", "multinomial", "normal", "uniform", "resize_", "index", "gather", "scatter", "eq.", "ne.",
    "gt.", "lt.", "ge.", "le.", "where", "cat.default", "stack", "masked_fill", "bitwise", "logical", "isfinite",
    "isnan", "any.", "all.", "argmax",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="write the operations that the stages of a finished study ask for")
    recording.add_argument("list", type=Path)
    recording.add_argument("--seconds", type=float, default=20, help="of each stage (default: %(default)s)")
    recording.add_argument("--stage", help=argparse.SUPPRESS)  # what `record` starts for each of them
    commands.add_parser("hash", help="compute them and print their hashes").add_argument("list", type=Path)
    comparing = commands.add_parser("compare", help="name the operations whose hashes differ")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    args = parser.parse_args()
    if args.command == "compare":
        compare(args.one, args.other)
    elif args.command == "hash":
        hash_all(args.list.read_text().splitlines())
    elif args.stage:
        record_stage(args.stage.split(), args.list)
    else:
        record(args.list, args.seconds)


def record(path: Path, seconds: float) -> None:
    """Start every stage of dvc.lock and stop it again, two at a time. Its results stay as they are."""
    from difflab.core.params.loading import parse_yaml

    stages = parse_yaml(Path("dvc.lock").read_text(), "dvc.lock")["stages"]
    commands = [entry["cmd"] for name, entry in stages.items() if not name.startswith(SKIPPED)]

    def start(number: int) -> set[str]:
        part = path.with_suffix(f".{number}")
        command = [sys.executable, __file__, "record", str(part), "--stage", commands[number]]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(command, capture_output=True, timeout=seconds, check=False)
        found = set(part.read_text().splitlines()[:-1]) if part.exists() else set()  # the last may be cut
        part.unlink(missing_ok=True)
        print(f"{commands[number]}: {len(found)} operations", flush=True)
        return found

    with ThreadPoolExecutor(2) as pool:
        found = set().union(*pool.map(start, range(len(commands))))
    path.write_text("".join(f"{line}\n" for line in sorted(found)))
    print(f"wrote {path}: {len(found)} operations of {len(commands)} stages")


def record_stage(command: list[str], path: Path) -> None:
    """Run `python -m module ...` in this process and note each new operation."""
    numerics.pin("pinned")
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: set[str] = set()

    class Noting(TorchDispatchMode):
        def __init__(self, stream: IO[str]) -> None:
            super().__init__()
            self.stream = stream

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            signature = repr((str(func), described(args), tuple((name, described(x)) for name, x in kwargs.items())))
            if signature not in seen:
                seen.add(signature)
                print(signature, file=self.stream, flush=True)
            return func(*args, **kwargs)

    sys.argv = command[2:]
    sys.path.insert(0, "")
    with path.open("w") as stream, Noting(stream):
        runpy.run_module(command[2], run_name="__main__", alter_sys=True)


def described(value: Any) -> Any:
    """A tensor by shape, strides and type; other values as they are, but for fractions, which have no end of values."""
    import torch

    if isinstance(value, torch.Tensor):
        return ("T", tuple(value.shape), tuple(value.stride()), str(value.dtype)[6:], value.device.type)
    if isinstance(value, list | tuple):
        return [described(x) for x in value]
    if isinstance(value, float):
        return ("V", 0.5 if value % 1 else value)
    return ("V", value if isinstance(value, int | str | None) else str(value))


def hash_all(lines: list[str]) -> None:
    numerics.pin("pinned")
    import torch

    runtime.configure(1)
    bits = torch.arange(1 << 22) * 0x9E3779B1 % (1 << 32)  # integers: the same on every processor
    pool = (bits.double() / 2**31 - 1).float()
    for line in chosen(lines):
        name, given, named = ast.literal_eval(line)
        operator, overload = name[5:].split(".")
        function = getattr(getattr(torch.ops.aten, operator), overload)
        try:
            arguments = [built(x, pool, i) for i, x in enumerate(given)]
            result = function(*arguments, **{key: built(x, pool, 50) for key, x in named})
        except (RuntimeError, ValueError, IndexError, TypeError):
            continue  # numbers that mean something else, such as indices beyond the end
        print(f"{digest([result, *(arguments if operator.endswith('_') else [])])} {line}", flush=True)


def chosen(lines: list[str]) -> Iterator[str]:
    """Of each operator that computes anything up to `MOST_SHAPES`, none of them long."""
    by_operator: dict[str, list[str]] = {}
    for line in lines:
        name, given, _ = ast.literal_eval(line)
        if name.startswith("aten.") and not name[5:].startswith(IDLE) and not is_long(name[5:].split(".")[0], given):
            by_operator.setdefault(name, []).append(line)
    for several in by_operator.values():
        yield from several[:: -(-len(several) // MOST_SHAPES)]


def is_long(operator: str, given: Any) -> bool:
    """Whether an operation is too long for an emulator."""
    shapes = [x[1] for x in given if isinstance(x, tuple) and x[0] == "T"]
    products = 0.0
    if operator.startswith("conv"):
        result, weight = shapes[0], shapes[2 if "backward" in operator else 1]
        products = math.prod(result) / max(result[1], 1) * math.prod(weight)
    elif operator in PRODUCTS:
        a, b = (shapes[i] for i in PRODUCTS[operator])
        products = math.prod(a) * (b[0] if operator == "linear" else b[-1])
    return products > MOST_PRODUCTS or sum(math.prod(shape) for shape in shapes) > MOST_NUMBERS


def built(value: Any, pool: Any, salt: int) -> Any:
    """The argument that `described` describes, with numbers of `pool`; integers are 0."""
    import torch

    if isinstance(value, list):
        return [built(x, pool, salt + i) for i, x in enumerate(value)]
    if value[0] == "V":
        return getattr(torch, value[1][6:]) if isinstance(value[1], str) and value[1].startswith("torch.") else value[1]
    _, shape, strides, kind, device = value
    if device != "cpu":
        raise ValueError("without numbers")
    dtype = getattr(torch, kind)
    length = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if all(shape) else 0
    start = salt * 977 % 4096
    numbers = (
        pool[start : start + length].clone().to(dtype) if dtype.is_floating_point else torch.zeros(length, dtype=dtype)
    )
    return torch.as_strided(numbers, shape, strides)


def digest(results: list[Any]) -> str:
    """8 digits of the SHA-256 of every tensor in nested lists."""
    return hashlib.sha256(b"".join(contents(results))).hexdigest()[:8]


def contents(value: Any) -> Iterator[bytes]:
    import torch

    if isinstance(value, torch.Tensor):
        yield (value.float() if value.dtype == torch.bfloat16 else value).detach().contiguous().numpy().tobytes()
    elif isinstance(value, list | tuple):
        for x in value:
            yield from contents(x)


def compare(one: Path, other: Path) -> None:
    first, second = ({line[9:]: line[:8] for line in path.read_text().splitlines()} for path in (one, other))
    both = first.keys() & second.keys()
    differing = sorted(operation for operation in both if first[operation] != second[operation])
    for operation in differing:
        print(f"differs: {operation}")
    print(f"{len(both) - len(differing)} of {len(both)} operations give the same bytes")
    sys.exit(bool(differing))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
