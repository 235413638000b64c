"""What every format of a LoRA adapter holds: for each adapted layer one low-rank update (Hu et al. 2021, equation 3).

Layers have the names of diffusers, the pipeline's component in front: "transformer.transformer_blocks.0.attn.to_q",
"unet.mid_block.attentions.0.proj_in", "text_encoder.text_model.encoder.layers.0.self_attn.q_proj". The text model of a
CLIP encoder is always called `text_model` here, as in files, though transformers may have flattened it.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from torch import Tensor

DENOISERS = ("transformer", "unet")
TEXT_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
COMPONENTS = (*DENOISERS, *TEXT_ENCODERS)
ALPHA = "alpha"
OWN = "difflab."  # before the names of what difflab adds to a header
_OTHER_KINDS = {  # how LyCORIS, sd-scripts and PEFT call the tensors of other kinds of adapters
    r"hada_.+": "LoHa",
    r"lokr_.+": "LoKr",
    r"dora_scale|lora_magnitude_vector.*": "DoRA",
    r"lora_mid.*": "LoRA of convolutions by a Tucker decomposition",
    r"b?oft_.+": "OFT",
    r"on_input|ia3_.+": "IA3",
    r"diff|diff_b": "differences of whole weights",
    r"lora_embedding_.+": "LoRA of embeddings",
}


@dataclass(frozen=True)
class Update:
    """W becomes W + alpha / rank * up @ down.

    Attributes:
        down: "A", [rank, in]; of a convolution [rank, in, kh, kw].
        up: "B", [out, rank]; of a convolution [out, rank, 1, 1].
    """

    down: "Tensor"
    up: "Tensor"
    alpha: float

    @property
    def rank(self) -> int:
        return len(self.down)

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    def delta(self) -> "Tensor":
        """What is added to the weight: float32 [out, in], or [out, in, kh, kw]."""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return self.scale * product.reshape(len(self.up), *self.down.shape[1:])


Updates = dict[str, Update]


def canonical(layer: str) -> str:
    """The name with `text_model` of a layer of a CLIP encoder that transformers has flattened; others as they are."""
    component, _, module = layer.partition(".")
    flat = component in TEXT_ENCODERS and module.startswith("encoder.layers.")
    return f"{component}.text_model.{module}" if flat else layer


def other_kind(names: Iterable[str]) -> str:
    """What kind of adapter tensors of these names are, where it is known and no plain LoRA; else empty."""
    for part in (part for name in names for part in name.split(".")[1:]):
        for pattern, kind in _OTHER_KINDS.items():
            if re.fullmatch(pattern, part):
                return kind
    return ""


def check_fractions(name: str, tensor: "Tensor", source: str) -> None:
    """Refuse, as a DifflabError, a tensor of whole numbers: their scale stands elsewhere."""
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise DifflabError(f"{source}: '{name}' holds {kind}, no fractions: it is quantised, take the file before that")


def paired(tensors: Mapping[str, "Tensor"], down: str, up: str, source: str) -> dict[str, dict[str, "Tensor"]]:
    """The tensors of each layer under "down", "up" and, where the file has it, "alpha".

    Args:
        tensors: under "<layer>.<suffix>".
        down, up: the suffixes of a format, "lora_A.weight" and "lora_B.weight" for instance.

    Raises:
        DifflabError: a tensor is of another kind, one of a pair is missing, or a value is not finite.
    """
    suffixes = {f".{down}": "down", f".{up}": "up", f".{ALPHA}": ALPHA}
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in sorted(tensors.items()):
        suffix = next((s for s in suffixes if name.endswith(s)), None)
        if suffix is None:
            raise DifflabError(
                f"{source} holds '{name}', which is no part of a LoRA adapter (*.{down}, *.{up}, *.alpha)"
            )
        if suffixes[suffix] != ALPHA:
            check_fractions(name, tensor, source)
        if not tensor.float().isfinite().all():
            raise DifflabError(f"{source}: '{name}' holds NaN or infinity: the training that wrote it had diverged")
        found.setdefault(name.removesuffix(suffix), {})[suffixes[suffix]] = tensor
    for layer, parts in found.items():
        if missing := {"down": down, "up": up}.keys() - parts.keys():
            lacks = {"down": down, "up": up}[min(missing)]
            raise DifflabError(f"{source} lacks '{layer}.{lacks}': the file is incomplete, export it again")
    return found


def update(
    layer: str,
    parts: Mapping[str, "Tensor"],
    source: str,
    rank: int | None = None,
    alpha: Callable[[int], float] = float,
) -> Update:
    """The update of `parts`, from `paired`, checked.

    Args:
        rank: what the file says of it beside the tensors.
        alpha: of a rank, where the file has no tensor with it; by default the rank, that is a scale of 1.

    Raises:
        DifflabError: shapes, rank or alpha contradict one another.
    """
    down, up = parts["down"], parts["up"]
    if (
        down.ndim not in (2, 4)
        or up.ndim != down.ndim
        or down.shape[0] != up.shape[1]
        or not (down.numel() and up.numel())
    ):
        shapes = f"{list(down.shape)} and {list(up.shape)}"
        raise DifflabError(f"{source}: the two matrices of '{layer}' are {shapes}, which have no rank in common")
    if rank not in (None, len(down)):
        raise DifflabError(f"{source} says rank {rank} of '{layer}', whose matrices have rank {len(down)}")
    told = parts.get(ALPHA)
    if told is not None and told.numel() != 1:
        raise DifflabError(f"{source}: '{layer}.{ALPHA}' is {list(told.shape)}, not one number")
    value = alpha(len(down)) if told is None else float(told)
    if not 0 < value < math.inf:
        raise DifflabError(f"{source} says alpha {value:g} of '{layer}': it must be above 0")
    if value * float(down.float().abs().max()) * float(up.float().abs().max()) > torch.finfo(torch.float32).max:
        raise DifflabError(f"{source}: the update of '{layer}' is too large: the training that wrote it had diverged")
    return Update(down, up, value)


def put(updates: Updates, more: Mapping[str, Update], source: str) -> None:
    """Add updates to others; a DifflabError where both have one of a layer, which several names of it may hide."""
    if twice := sorted(updates.keys() & more.keys()):
        raise DifflabError(f"{source} adapts '{twice[0]}' twice, under two names: keep one")
    updates.update(more)


def stacked(parts: Mapping[int, Update], out: int, count: int) -> Update:
    """One update for `count` layers of `out` rows each that share their input, of which `parts` are adapted.

    Ranks add up; "up" is block diagonal, so that the product is the same to the bit where scales agree.
    """
    downs, ups = [], []
    scale = parts[min(parts)].scale
    for number, part in sorted(parts.items()):
        block = part.up.new_zeros(count * out, part.rank)
        block[number * out : (number + 1) * out] = part.up if part.scale == scale else part.up * (part.scale / scale)
        downs.append(part.down)
        ups.append(block)
    down = torch.cat(downs)
    return Update(down, torch.cat(ups, dim=1), scale * len(down))


def unstacked(whole: Update, count: int) -> dict[int, Update]:
    """The inverse of `stacked`: what of an update each of `count` layers gets, without columns that are zero for it."""
    updates = {}
    for number, up in enumerate(whole.up.chunk(count)):
        used = up.ne(0).any(dim=0)
        if used.any():
            updates[number] = Update(whole.down[used], up[:, used].contiguous(), whole.scale * int(used.sum()))
    return updates
