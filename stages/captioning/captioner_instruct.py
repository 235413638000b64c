"""Caption the test images by an instruction model that was never trained on their kind of titles."""

import pandas as pd

from difflab.captioning.mixed_set import VARIANT, MixedSet
from difflab.captioning.params.inputs import CaptionerInstructInputs
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.stage import Stage, run
from difflab.images.store.captions import write_captions
from difflab.models.instruct_captioner import load_instruct_captioner
from difflab.models.roles import resolve

OUTPUT = "data/captions/captioner/instruct.parquet"


def main(stage: Stage[CaptionerInstructInputs]) -> None:
    settings, runtime = stage.params.captioner_instruct, stage.params.runtime
    mixed = MixedSet()
    test = mixed.part("test")
    folder = resolve("models/zoo/instruct")
    captioner = load_instruct_captioner(folder, resolve_device(runtime.device), resolve_dtype(runtime.dtype))
    lengths = {"batch_size": settings.batch_size, "max_new_tokens": settings.max_new_tokens}
    captions = [
        caption for images in mixed.images(test) for caption in captioner(images, settings.instruction, **lengths)
    ]
    table = {"id": test["id"], "variant": VARIANT, "caption": captions, "source_sha256": mixed.sha256(test)}
    write_captions(OUTPUT, pd.DataFrame(table))
    stage.done(f"wrote {OUTPUT}, {len(captions)} captions, {len(set(captions))} distinct")


if __name__ == "__main__":
    run(main)
