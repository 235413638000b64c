"""Values that no machine can run are refused where they enter."""

import pytest
from pydantic import ValidationError

from difflab.captioning.params import CaptionScoreParams, SynthesizeParams
from fakes import tiny_captioner as tiny

SYNTHESIZE = {
    "positive": "", "negative": "", "scheduler": "ddpm", "num_inference_steps": 10, "guidance_scale": 3.0,
    "batch_size": 4, "vae": "whole", "offload": False, "sheet_images": 4,
}  # fmt: skip


@pytest.mark.parametrize(
    ("make", "largest"),
    [
        (lambda value: tiny.params(lora={"rank": value}), 1024),
        (lambda value: SynthesizeParams(**SYNTHESIZE, image_size=value), 4096),
        (lambda value: CaptionScoreParams(resamples=value, margin=0.1), 1_000_000),
    ],
)
def test_sizes_have_an_upper_bound(make, largest):
    make(largest)
    with pytest.raises(ValidationError, match=f"less than or equal to {largest}"):
        make(largest + 1)
