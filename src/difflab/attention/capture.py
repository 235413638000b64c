"""Query, key, value and output of attention layers while a network runs.

What is kept is what the layer handed to `scaled_dot_product_attention` and got from it, after normalisation and after the
tokens of picture and prompt were joined. So it is the same for every attention of diffusers (joint attention of Stable
Diffusion 3, the second attention of 3.5, self- and cross-attention of U-Nets), and the network's own arithmetic stays
as it is: a picture has the same bytes with and without.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from difflab.core.base.errors import DifflabError

Kind = Literal["joint", "picture", "prompt"]
PARTS = ("query", "key", "value", "output")


@dataclass(frozen=True)
class Layer:
    """An attention layer of a network.

    Attributes:
        name: of its module: "transformer_blocks.3.attn".
        block: number of the block it belongs to, in the order in which the network lists them.
        kind: between which tokens: "joint" (those of the picture, then those of the prompt, each with all), "picture"
            (of the picture among themselves), "prompt" (queries of the picture, keys and values of the prompt).
    """

    name: str
    block: int
    kind: Kind


class Attended(NamedTuple):
    """What one layer computed at one step, each [B, heads, tokens, width]: output = softmax(q k^T / sqrt(width)) v.

    (Vaswani et al. 2017, equation 1, before the output projection.) Keys and values of a layer of the kind "prompt" have as
    many tokens as the prompt.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor


Sink = Callable[[int, str, Attended], None]
"""What takes each (step, name of the layer, what it computed)."""


def attention_layers(network: nn.Module, blocks: Sequence[int] | None = None) -> list[Layer]:
    """The attention layers of a transformer or U-Net of diffusers; those of some blocks only.

    Raises:
        DifflabError: the network has none, or not the block.
    """
    from diffusers.models.attention_processor import Attention

    found: list[Layer] = []
    numbers: dict[str, int] = {}
    for name, module in network.named_modules():
        if isinstance(module, Attention):
            parent, _, own = name.rpartition(".")
            block = numbers.setdefault(parent if own.startswith("attn") else name, len(numbers))
            found.append(Layer(name, block, _kind(module)))
    if not found:
        raise DifflabError(f"{type(network).__name__} has no attention layer: nothing can be captured")
    if blocks is None:
        return found
    check_numbers("block", blocks, len(numbers), "the network")
    return [layer for layer in found if layer.block in set(blocks)]


def _kind(layer: Any) -> Kind:
    if layer.added_kv_proj_dim is not None:
        return "joint"
    return "prompt" if layer.is_cross_attention else "picture"


def check_numbers(what: str, numbers: Iterable[int], count: int, whole: str) -> None:
    """Refuse, as a DifflabError, numbers of blocks, steps or heads outside 0 to `count` - 1."""
    for number in numbers:
        if not 0 <= number < count:
            raise DifflabError(f"{what} {number} does not exist: {whole} has {what}s 0 to {count - 1}")


@contextmanager
def captured(
    network: nn.Module,
    sink: Sink,
    *,
    blocks: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    rows: slice = slice(None),
    dtype: torch.dtype = torch.float16,
) -> Generator[list[Layer]]:
    """Give `sink` what the network's attention layers compute inside the block; each run of the network is a step.

    The hooks are gone when the block ends, whatever happens in it.

    Args:
        blocks: numbers of blocks (`attention_layers`); None: all.
        steps: counted from 0; None: all.
        rows: of the batch. With classifier-free guidance the prompted half is `slice(n, None)` of 2 n rows.
        dtype: in which it is kept, on the CPU. float16 takes half the memory and keeps three decimal places.

    Raises:
        DifflabError: a block does not exist, or the network ran fewer times than `steps` says.
    """
    layers = attention_layers(network, blocks)
    modules, names = dict(network.named_modules()), [layer.name for layer in layers]
    spies, step = {name: _Spy() for name in names}, -1

    def begin(module: nn.Module, args: tuple) -> None:
        nonlocal step
        step += 1

    def enter(name: str, module: nn.Module, args: tuple) -> None:
        if steps is None or step in steps:
            spies[name].__enter__()

    def leave(name: str, module: nn.Module, args: tuple, made: object) -> None:
        if (spy := spies[name]).open:
            spy.__exit__(None, None, None)
            if made is not None and spy.seen is not None:  # None: the layer raised
                sink(step, name, Attended(*(_kept(tensor[rows], dtype) for tensor in spy.seen)))
            spy.seen = None

    hooks = [network.register_forward_pre_hook(begin)]
    for name in names:
        hooks.append(modules[name].register_forward_pre_hook(partial(enter, name)))
        hooks.append(modules[name].register_forward_hook(partial(leave, name), always_call=True))
    try:
        yield layers
    finally:
        for hook in hooks:
            hook.remove()
    if steps is not None:
        check_numbers("step", steps, step + 1, "this sampling")


def _kept(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy on the CPU, which shares no memory with what the network goes on to use."""
    return tensor.detach().to("cpu", dtype, copy=True).contiguous()


class _Spy(TorchFunctionMode):
    """Remembers the last attention that is computed while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: tuple[Tensor, ...] | None = None
        self.open = False

    def __enter__(self) -> "_Spy":
        self.open = True
        return super().__enter__()

    def __exit__(self, exc_type: object, exc_val: object, exc_tb: object) -> None:
        self.open = False
        super().__exit__(exc_type, exc_val, exc_tb)

    def __torch_function__(self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is functional.scaled_dot_product_attention:
            self.seen = (*_arguments(*args, **(kwargs or {})), made)
        return made


def _arguments(query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor, Tensor]:
    return query, key, value
