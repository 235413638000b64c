"""Four ways to take a block of an SD3 transformer away, each undone when its context ends, whatever happens in it.

A block adds an update to the residual streams of the patches and of the text, h <- h + f(h, text, timestep):

    mean     f is replaced by its mean over a data set, at each place of both streams and each level of noise: the block
             says what it says on average, and nothing of this sample (mean ablation; Wang et al. 2022,
             "Interpretability in the wild", section 2)
    bypass   f is left out, so that the streams pass by (Avrahami et al. 2024, "Stable Flow", section 3.1)
    text     in the block's joint attention no patch sees the text; the text still sees the patches
    patches  in its attention a patch sees itself and the text, and no other patch

The pooled prompt reaches every block through the modulation of its norms, which none of the last three cuts.
"""

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from difflab.core.base.errors import DifflabError
from difflab.sd3.blocks.ways import BYPASS, MEAN, PATCHES, TEXT, WAYS

if TYPE_CHECKING:
    from diffusers.models import SD3Transformer2DModel
    from diffusers.models.attention_processor import Attention


Streams = tuple[Tensor | None, Tensor]
"""The stream of the text and that of the patches, [B, tokens, width] each, as a block returns them."""


@dataclass(frozen=True)
class Updates:
    """The mean updates of every block at some levels of noise, on the CPU in the precision of the transformer.

    Attributes:
        timesteps: of the levels, float32 [levels].
        patches: one for each block, [levels, patches, width].
        text: one for each block, [levels, text tokens, width]; None of the last block, which drops the text.
    """

    timesteps: Tensor
    patches: list[Tensor]
    text: list[Tensor | None]

    def of(self, block: int, timestep: Tensor) -> Streams:
        """The means of a block at the levels nearest to `timestep` [B]: of text and of patches, [B, tokens, width]."""
        rows = (timestep.float().cpu()[:, None] - self.timesteps).abs().argmin(1)
        text, device = self.text[block], timestep.device
        return None if text is None else text[rows].to(device), self.patches[block][rows].to(device)


@contextmanager
def ablated(
    transformer: "SD3Transformer2DModel", block: int, way: str, updates: Updates | None = None
) -> Generator[None]:
    """Inside the context the transformer computes without one of its blocks.

    Args:
        block: its number, from 0 on.
        way: one of `WAYS`.
        updates: for "mean", what `mean_updates` gives.

    Raises:
        DifflabError: there is no such block or way, or no mean for it.
    """
    check_blocks([block], transformer)
    if way not in WAYS:
        raise DifflabError(f"there is no way '{way}' to take a block away: one of {', '.join(WAYS)}")
    if way == MEAN and updates is None:
        raise DifflabError("mean ablation needs the mean updates of the blocks: measure them first")
    module = transformer.transformer_blocks[block]
    with ExitStack() as undo:
        if way == BYPASS:
            undo.callback(module.register_forward_hook(_pass_by, with_kwargs=True).remove)
        elif updates is not None and way == MEAN:
            seen: dict[str, Tensor] = {}
            note = transformer.register_forward_pre_hook(_noting_timestep(seen), with_kwargs=True)
            undo.callback(note.remove)
            replace = _replacing(lambda: updates.of(block, seen["timestep"]))
            undo.callback(module.register_forward_hook(replace, with_kwargs=True).remove)
        else:
            for attention in (module.attn, module.attn2 if way == PATCHES else None):
                if attention is not None:
                    _mask(attention, _without_text if way == TEXT else _without_patches, undo)
        yield


def check_blocks(blocks: Iterable[int], transformer: nn.Module) -> None:
    """Refuse, as a DifflabError, numbers that no block of the transformer has."""
    count = len(transformer.transformer_blocks)
    for block in blocks:
        if not 0 <= block < count:
            raise DifflabError(f"block {block} does not exist: the transformer has 0 to {count - 1}")


@torch.no_grad()
def mean_updates(
    transformer: "SD3Transformer2DModel", timesteps: Tensor, batches: Callable[[float], Iterable[dict[str, Tensor]]]
) -> Updates:
    """The mean of what each block adds to both streams, over a data set, at every level of noise.

    Args:
        timesteps: of the levels, float32 [levels].
        batches: for a timestep, the keyword arguments of forward passes over the data set.
    """
    means: list[list[Streams]] = []
    for timestep in timesteps.tolist():
        sums: dict[int, Streams] = {}
        count = 0
        with ExitStack() as undo:
            for number, block in enumerate(transformer.transformer_blocks):
                undo.callback(block.register_forward_hook(_adding(sums, number), with_kwargs=True).remove)
            for batch in batches(timestep):
                transformer(**batch, return_dict=False)
                count += len(batch["hidden_states"])
        level = (sums[number] for number in range(len(transformer.transformer_blocks)))
        means.append([_divided(both, count, transformer.dtype) for both in level])
    by_block = list(zip(*means, strict=True))
    text = [[t for t, _ in levels if t is not None] for levels in by_block]
    patches = [torch.stack([p for _, p in levels]) for levels in by_block]
    return Updates(timesteps, patches, [torch.stack(levels) if levels else None for levels in text])


def _divided(sums: Streams, count: int, dtype: torch.dtype) -> Streams:
    text, patches = sums
    return None if text is None else (text / count).to("cpu", dtype), (patches / count).to("cpu", dtype)


def _streams(kwargs: dict[str, Tensor], output: Streams) -> Streams:
    """What came into a block; no text where none leaves it."""
    return None if output[0] is None else kwargs["encoder_hidden_states"], kwargs["hidden_states"]


def _adding(sums: dict[int, Streams], number: int) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, kwargs: dict[str, Tensor], output: Streams) -> None:
        (text_in, patches_in), (text_out, patches_out) = _streams(kwargs, output), output
        text = None if text_out is None or text_in is None else (text_out - text_in).float().sum(0)
        patches = (patches_out - patches_in).float().sum(0)
        if number in sums:
            before = sums[number]
            text = None if text is None or before[0] is None else text + before[0]
            patches = patches + before[1]
        sums[number] = text, patches

    return hook


def _pass_by(module: nn.Module, args: Any, kwargs: dict[str, Tensor], output: Any) -> Streams:
    return _streams(kwargs, output)


def _replacing(means: Callable[[], Streams]) -> Callable[..., Any]:
    def hook(module: nn.Module, args: Any, kwargs: dict[str, Tensor], output: Any) -> Streams:
        (text, patches), (text_mean, patches_mean) = _streams(kwargs, output), means()
        return None if text is None or text_mean is None else text + text_mean, patches + patches_mean

    return hook


def _noting_timestep(seen: dict[str, Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, args: Any, kwargs: dict[str, Tensor]) -> None:
        seen["timestep"] = kwargs["timestep"]

    return hook


def _without_text(patches: int, tokens: int) -> Tensor:
    """Which token sees which, bool [tokens, tokens]; the patches come first."""
    sees = torch.ones(tokens, tokens, dtype=torch.bool)
    sees[:patches, patches:] = False
    return sees


def _without_patches(patches: int, tokens: int) -> Tensor:
    sees = torch.ones(tokens, tokens, dtype=torch.bool)
    sees[:patches, :patches] = torch.eye(patches, dtype=torch.bool)
    return sees


def _mask(attention: "Attention", sees: Callable[[int, int], Tensor], undo: ExitStack) -> None:
    processor = attention.processor
    undo.callback(attention.set_processor, processor)
    attention.set_processor(_MaskedProcessor(processor, sees))


class _MaskedProcessor:
    """An attention processor whose attention goes through a mask; the projections are those of the one inside."""

    def __init__(self, inner: Any, sees: Callable[[int, int], Tensor]) -> None:
        self.inner, self.sees = inner, sees

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **kwargs: Any
    ) -> Any:
        patches, device = hidden_states.shape[1], hidden_states.device
        with _MaskedAttention(lambda tokens: self.sees(patches, tokens).to(device)):
            return self.inner(attn, hidden_states, encoder_hidden_states, **kwargs)


class _MaskedAttention(TorchFunctionMode):
    """Gives every `scaled_dot_product_attention` inside the context a mask."""

    def __init__(self, mask: Callable[[int], Tensor]) -> None:
        super().__init__()
        self.mask = mask

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            kwargs = {**kwargs, "attn_mask": self.mask(args[0].shape[-2])}
        return func(*args, **kwargs)
