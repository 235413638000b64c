"""Groups of the report, and what it reads of the studies' parameters to show them."""

from difflab.captioning.params import CaptionerParams, SynthesizeParams
from difflab.core.params.base import Group
from difflab.ddpm.params import ColdParams, DdpmParams, DdpmSampleParams, DenoiseParams
from difflab.sd3.params import FinetuneParams, GenerateParams, LogitMeanParams


class ReportParams(Group):
    """`report`: what the report says about itself."""

    comparable: bool


class ReportInputs:
    """What the report reads of params.yaml, as dvc.yaml declares it."""

    profile: str
    finetune: FinetuneParams
    logit_mean: LogitMeanParams
    generate: GenerateParams
    denoise: DenoiseParams
    ddpm: DdpmParams
    ddpm_sample: DdpmSampleParams
    cold: ColdParams
    synthesize: SynthesizeParams
    captioner: CaptionerParams
    report: ReportParams
