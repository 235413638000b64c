"""Caption the test images by an instruction model that was never trained on their kind of titles."""

from difflab.captioning.mixed_set import MixedSet
from difflab.captioning.params import CaptionerInstructInputs
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.stage import Stage, run
from difflab.models.instruct_captioner import load_instruct_captioner


def main(stage: Stage[CaptionerInstructInputs]) -> None:
    runtime = stage.params.runtime
    mixed = MixedSet()
    folder = resolve("models/zoo/instruct")
    captioner = load_instruct_captioner(folder, resolve_device(runtime.device), resolve_dtype(runtime.dtype))
    stage.done(
        mixed.caption_test("instruct", lambda images: captioner(images, **stage.params.captioner_instruct.model_dump()))
    )


if __name__ == "__main__":
    run(main)
