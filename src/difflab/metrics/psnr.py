"""The peak signal-to-noise ratio of tensors, for validation during training and for choosing among images."""

from torch import Tensor


def psnr(clean: Tensor, restored: Tensor, data_range: float) -> Tensor:
    """10 log10(data_range^2 / mean squared error) in dB, image by image, as scikit-image's.

    Args:
        clean: [n, ...], or of a shape that broadcasts to that of `restored`.
        restored: [n, ...]; nothing is clamped.
        data_range: 2 for images in [-1, 1], 255 for 8 bits.

    Returns:
        float64 [n]; infinite for equal images.
    """
    error = (restored.cpu().double() - clean.cpu().double()).square().flatten(1).mean(1)
    return 10 * (data_range**2 / error).log10()
