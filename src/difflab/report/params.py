"""Group of the report."""

from difflab.core.params.base import Group
from difflab.sd3.params.finetune import LogitMeanParams
from difflab.training.params import DensityParams


class ReportParams(Group):
    """`report`: what the report says about itself."""

    comparable: bool


class ReportInputs:
    """What the report reads of params.yaml, as dvc.yaml declares it."""

    class Finetune:
        density: DensityParams

    profile: str
    finetune: Finetune
    logit_mean: LogitMeanParams
    report: ReportParams
