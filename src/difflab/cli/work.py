"""Floating-point operations of the released networks in closed form; a multiply-add is 2. Tests count them by torch."""

from dataclasses import dataclass

SD3_WIDTH, SD3_LAYERS, SD3_CONTEXT = 1536, 24, 4096  # of SD3-medium's transformer, and of its text embeddings
SD21_UNET, SD21_SIDE = 2.15e12, 768  # Stable Diffusion 2.1: a forward pass of one picture, of so many pixels a side
SD15_UNET, SD15_SIDE = 0.803e12, 512  # Stable Diffusion 1.5
ACTIVATION = 34  # bytes that training keeps of a token, for each layer and channel (Korthikanti et al. 2022)


@dataclass(frozen=True)
class Language:
    """A language model or encoder: parameters, layers, and bytes of its cache for a token, in bfloat16."""

    parameters: float
    layers: int
    cache: float = 0.0

    @property
    def gigabytes(self) -> float:
        return 2 * self.parameters / 1e9

    def forward(self, tokens: float) -> float:
        """Operations of reading so many tokens, without attention, which is a few per cent of it at this length."""
        return 2 * self.parameters * tokens


LLAMA_8B = Language(8.03e9, 32, 131e3)
LLAMA_1B = Language(1.24e9, 16, 33e3)
GEMMA_1B = Language(1.0e9, 26, 27e3)
LLAVA_7B = Language(7.06e9, 32, 524e3)
BLIP2_T5 = Language(3.94e9, 24, 98e3)
TEXT_ENCODERS = Language(4.76e9 + 0.69e9 + 0.12e9, 24)  # T5-XXL, CLIP-G, CLIP-L


def transformer(side: int, text_tokens: int, width: int = SD3_WIDTH, layers: int = SD3_LAYERS) -> float:
    """A forward pass of an SD3 transformer (Esser et al. 2024) for one picture of `side` pixels; latents are an eighth."""
    image, context = (side // 16) ** 2, SD3_CONTEXT
    tokens = image + text_tokens
    linear = 24 * width**2 * tokens * layers - 18 * width**2 * text_tokens  # the last block drops its text
    attention = 4 * tokens**2 * width * layers
    modulation = 2 * (12 * layers - 2) * width**2
    ends = 2 * width * (image * 128 + text_tokens * context)  # patches of 2 x 2 x 16 in and out
    return linear + attention + modulation + ends


def autoencoder(side: int, decode: bool, channels: tuple[int, ...] = (128, 256, 512, 512), latent: int = 16) -> float:
    """Encoding, or decoding, one picture of `side` pixels by an AutoencoderKL with two resnets a level, three to decode."""
    pixels, total, inner = side**2, 0.0, channels[0]
    for level, outer in enumerate(channels):  # the decoder mirrors the encoder, with one resnet more a level
        here = pixels / 4**level
        wider = channels[min(level + 1, len(channels) - 1)]
        if decode:
            total += _resnet(wider, outer, here) + 2 * _resnet(outer, outer, here)
            total += _conv(outer, outer, 4 * here) if level else 0
        else:
            total += _resnet(inner, outer, here) + _resnet(outer, outer, here)
            total += _conv(outer, outer, here / 4) if level < len(channels) - 1 else 0
        inner = outer
    low, width = pixels / 4 ** (len(channels) - 1), channels[-1]
    middle = 2 * _resnet(width, width, low) + 8 * width**2 * low + 4 * low**2 * width
    ends = _conv(3, channels[0], pixels) + _conv(width, latent if decode else 2 * latent, low)
    return total + middle + ends


def _conv(inner: int, outer: int, pixels: float, size: int = 3) -> float:
    return 2 * size**2 * inner * outer * pixels


def _resnet(inner: int, outer: int, pixels: float) -> float:
    shortcut = _conv(inner, outer, pixels, 1) if inner != outer else 0
    return _conv(inner, outer, pixels) + _conv(outer, outer, pixels) + shortcut
