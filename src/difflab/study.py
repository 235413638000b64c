"""All parameters of the study in one place: the shape of params.yaml."""

from pydantic import Field, model_validator

from difflab.captioning.params.captioner import CaptionerInstructParams, CaptionerParams, CaptionScoreParams
from difflab.captioning.params.mix import MixParams
from difflab.captioning.params.synthesis import SweepParams, SynthesizeParams
from difflab.captioning.params.titles import TitlesParams
from difflab.core.params.base import Group
from difflab.core.params.common import Library, RuntimeParams, TrackingParams
from difflab.ddpm.params.denoise import DenoiseParams, DenoiseScoreParams
from difflab.ddpm.params.models import ClassifiersParams, ImageVaeParams
from difflab.ddpm.params.process import ColdParams, MemorisationParams, ProcessParams
from difflab.ddpm.params.series import DdpmParams, DdpmSampleParams
from difflab.images.params import BalanceParams, DataParams, PrepareParams, SplitParams
from difflab.images.set_params import ImagesParams
from difflab.miniature.params import MiniatureZoo
from difflab.report.params import ReportParams
from difflab.sd3.params.cache import CacheParams
from difflab.sd3.params.caption import CaptionParams
from difflab.sd3.params.finetune import FinetuneParams, LogitMeanParams
from difflab.sd3.params.sampling import GenerateParams, GuidanceCurveParams, StepCurveParams
from difflab.sd3.params.score import ScoreParams

UNCONDITIONAL = ("single_image_32", "single_image_64", "single_class")


class ZooParams(MiniatureZoo):
    """`zoo`: one group per role; `hub: null` trains the role, anything else points to a released model."""

    classifier: ClassifiersParams
    image_vae: ImageVaeParams


class Params(Group):
    """The whole of params.yaml."""

    profile: str
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
    titles: TitlesParams
    synthesize: SynthesizeParams
    sweep: SweepParams
    mix: MixParams
    captioner: CaptionerParams
    captioner_instruct: CaptionerInstructParams
    caption_score: CaptionScoreParams
    report: ReportParams
    environment: dict[Library, str]

    @model_validator(mode="after")
    def _enough_images_are_scored(self) -> "Params":
        for name in ("generate", "guidance_curve", "step_curve"):
            count = getattr(self, name).num_images
            if count is not None and count < self.score.min_images:
                raise ValueError(f"{name}.num_images is {count}, below score.min_images {self.score.min_images}")
        return self

    @model_validator(mode="after")
    def _sampling_fits_the_settings(self) -> "Params":
        for setting in self.ddpm_sample.groups():
            sampling, trained = self.ddpm_sample[setting], self.ddpm[setting]
            if setting in UNCONDITIONAL and sampling.guidance_scale != 1:
                raise ValueError(
                    f"ddpm_sample.{setting}.guidance_scale must be 1: {setting} has no condition to guide by"
                )
            if sampling.num_inference_steps > trained.schedule.num_train_timesteps:
                raise ValueError(
                    f"ddpm_sample.{setting}.num_inference_steps is {sampling.num_inference_steps}, above "
                    f"ddpm.{setting}.schedule.num_train_timesteps {trained.schedule.num_train_timesteps}"
                )
        return self

    @model_validator(mode="after")
    def _the_process_can_be_followed(self) -> "Params":
        followed = self.ddpm.class_conditional
        if self.process.num_inference_steps > followed.schedule.num_train_timesteps:
            raise ValueError(
                f"process.num_inference_steps is {self.process.num_inference_steps}, above "
                f"ddpm.class_conditional.schedule.num_train_timesteps {followed.schedule.num_train_timesteps}"
            )
        if 2 * self.process.bands > followed.image_size:
            raise ValueError(
                f"process.bands is {self.process.bands}: images of {followed.image_size} pixels have room for "
                f"{followed.image_size // 2}"
            )
        return self
