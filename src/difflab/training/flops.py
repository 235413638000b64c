"""Floating-point operations of a training step, for the model FLOPs utilisation (MFU) of a GPU."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Dense bfloat16 peaks without sparsity, from the vendors' data sheets; the first name that occurs counts.
PEAK_BF16 = {
    "H100 PCIe": 756e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12, "A100": 312e12, "L40S": 362e12,
    "A10": 125e12, "RTX 4090": 165e12,
}  # fmt: skip


def peak_flops(device: torch.device) -> float | None:
    """The device's bfloat16 peak in FLOP/s; None on a CPU or an unknown GPU, where no MFU is printed."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAK_BF16.items() if part in name), None)


@torch.no_grad()
def count(forward: Callable[[], object]) -> int:
    """What a call computes (matrix products, convolutions, attention; a multiply-add is 2)."""
    with FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops()


def step_flops(model: nn.Module, forward: float) -> float:
    """Operations of forward and backward together, without what gradient checkpointing computes again.

    Backward computes the gradient of every activation (1 x forward) and of the trained weights (1 x forward
    times their share of the weights). So full training is 3 x forward and LoRA on a frozen base about 2 x.
    """
    count = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return forward * (2 + trained / count)
