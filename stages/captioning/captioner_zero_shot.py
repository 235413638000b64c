"""Caption the test images by the captioner before any training: its decoder without a trained prefix."""

from difflab.captioning.captioner_model.captioner_folder import new_captioner
from difflab.captioning.mixed_set import MixedSet
from difflab.captioning.params import CaptionerZeroShotInputs
from difflab.core.base import rng
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.stage import Stage, run


def main(stage: Stage[CaptionerZeroShotInputs]) -> None:
    params, runtime = stage.params.captioner, stage.params.runtime
    mixed = MixedSet()
    seed, device = rng.key(stage.params.seed, "captioner", 0), resolve_device(runtime.device)
    captioner = new_captioner(params, seed, device, resolve_dtype(runtime.dtype))
    stage.done(mixed.caption_test("zero_shot", lambda images: captioner.captions_of(images, params.decoding)))


if __name__ == "__main__":
    run(main)
