"""Caption the test images by the captioner before any training: its decoder without a trained prefix."""

import pandas as pd

from difflab.captioning.captioner_model.captioner_folder import load_bases
from difflab.captioning.mixed_set import VARIANT, MixedSet
from difflab.captioning.params.inputs import CaptionerZeroShotInputs
from difflab.core.base import rng
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.stage import Stage, run
from difflab.images.store.captions import write_captions

OUTPUT = "data/captions/captioner/zero_shot.parquet"


def main(stage: Stage[CaptionerZeroShotInputs]) -> None:
    params, runtime = stage.params.captioner, stage.params.runtime
    mixed = MixedSet()
    test = mixed.part("test")
    bases = load_bases(resolve_device(runtime.device), resolve_dtype(runtime.dtype))
    captioner = bases.captioner(params, rng.key(stage.params.seed, "captioner", 0))
    captions = [caption for images in mixed.images(test) for caption in captioner.captions_of(images, params.decoding)]
    table = {"id": test["id"], "variant": VARIANT, "caption": captions, "source_sha256": mixed.sha256(test)}
    write_captions(OUTPUT, pd.DataFrame(table))
    stage.done(f"wrote {OUTPUT}, {len(captions)} captions, {len(set(captions))} distinct")


if __name__ == "__main__":
    run(main)
