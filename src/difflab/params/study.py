"""All parameters of the study in one place: the shape of params.yaml."""

from pydantic import Field, model_validator

from difflab.params.base import Group
from difflab.params.cache import CacheParams
from difflab.params.caption import CaptionParams
from difflab.params.common import RuntimeParams, TrackingParams
from difflab.params.data import BalanceParams, DataParams, PrepareParams, SplitParams
from difflab.params.ddpm import DdpmParams, DdpmSampleParams
from difflab.params.denoise import DenoiseParams, DenoiseScoreParams
from difflab.params.evaluation import ReportParams, ScoreParams
from difflab.params.images import ImagesParams
from difflab.params.looking import ColdParams, MemorisationParams, ProcessParams
from difflab.params.sampling import GenerateParams, GuidanceCurveParams, StepCurveParams
from difflab.params.training import FinetuneParams, LogitMeanParams
from difflab.params.zoo_image import ZooTransformerParams, ZooVaeParams
from difflab.params.zoo_small import ClassifiersParams, ImageVaeParams
from difflab.params.zoo_text import ZooLlamaParams, ZooTextParams
from difflab.params.zoo_vision import ZooBlip2Params, ZooTowerParams


class ZooParams(Group):
    """`zoo`: one group per role; `hub: null` trains the role, anything else points to a released model."""

    tower: ZooTowerParams
    vae: ZooVaeParams
    text: ZooTextParams
    blip2: ZooBlip2Params
    llama: ZooLlamaParams
    transformer: ZooTransformerParams
    classifier: ClassifiersParams
    image_vae: ImageVaeParams


class Params(Group):
    """The whole of params.yaml."""

    profile: str = Field(description="name of the profile that the values come from")
    seed: int = Field(ge=0)
    runtime: RuntimeParams
    tracking: TrackingParams
    data: DataParams
    split: SplitParams
    prepare: PrepareParams
    images: ImagesParams
    balance: BalanceParams
    zoo: ZooParams
    caption: CaptionParams
    cache: CacheParams
    finetune: FinetuneParams
    logit_mean: LogitMeanParams
    generate: GenerateParams
    guidance_curve: GuidanceCurveParams
    step_curve: StepCurveParams
    score: ScoreParams
    denoise: DenoiseParams
    denoise_score: DenoiseScoreParams
    ddpm: DdpmParams
    ddpm_sample: DdpmSampleParams
    process: ProcessParams
    memorisation: MemorisationParams
    cold: ColdParams
    report: ReportParams

    @model_validator(mode="after")
    def _enough_images_are_scored(self) -> "Params":
        for name in ("generate", "guidance_curve", "step_curve"):
            count = getattr(self, name).num_images
            if count is not None and count < self.score.min_images:
                raise ValueError(
                    f"{name}.num_images is {count}, below score.min_images {self.score.min_images}"
                )
        return self
