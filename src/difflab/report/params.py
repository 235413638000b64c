"""Groups of the report, and what it reads of the studies' parameters to show them."""

from typing import Annotated

from difflab.captioning.params import CaptionerParams, SynthesizeParams
from difflab.core.params.base import Group
from difflab.ddpm.params import ColdParams, DdpmParams, DdpmSampleParams, DenoiseParams
from difflab.sd3.params import FinetuneParams, GenerateParams, LogitMeanParams, TrainedOnParams

_TRAINING = "training.steps", "training.batch_size", "training.learning_rate"


class ReportParams(Group):
    """`report`: what the report says about itself."""

    comparable: bool


class ReportInputs:
    """What the report reads of params.yaml, as dvc.yaml declares it.

    The DDPM series whole: a setting takes values from `common`, so that their dotted names need not exist.
    """

    profile: str
    finetune: Annotated[
        FinetuneParams, "density", "lora.rank", "lora.alpha", "lora.targets", *_TRAINING, "training.lr_scheduler",
        "training.prompt_dropout",
    ]  # fmt: skip
    logit_mean: LogitMeanParams
    trained_on: TrainedOnParams
    generate: Annotated[GenerateParams, "num_inference_steps", "guidance_scale", "seeds"]
    denoise: Annotated[DenoiseParams, "sigma", "unet.kind", "v0_steps", *_TRAINING]
    ddpm: DdpmParams
    ddpm_sample: DdpmSampleParams
    cold: Annotated[ColdParams, *_TRAINING]
    synthesize: Annotated[SynthesizeParams, "num_inference_steps", "guidance_scale", "scheduler"]
    captioner: Annotated[
        CaptionerParams, "lora.rank", "lora.alpha", "lora.dropout", *_TRAINING, "decoding.num_beams"
    ]  # fmt: skip
    report: ReportParams
