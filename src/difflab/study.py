"""All parameters of the study in one place: the shape of params.yaml."""

from pydantic import model_validator

from difflab.captioning.params import (
    CaptionerInstructParams,
    CaptionerParams,
    CaptionScoreParams,
    MixParams,
    SweepParams,
    SynthesizeParams,
    TitlesParams,
)
from difflab.core.params.base import Group, Seed
from difflab.core.params.common import EnvironmentParams, HardwareParams, RuntimeParams, TrackingParams
from difflab.ddpm.params import (
    ClassifiersParams,
    ColdParams,
    DdpmParams,
    DdpmSampleParams,
    DenoiseParams,
    DenoiseScoreParams,
    ImageVaeParams,
    MemorisationParams,
    ProcessParams,
)
from difflab.images.params import BalanceParams, DataParams, ImagesParams, PrepareParams, SplitParams
from difflab.miniature.params import MiniatureZoo
from difflab.report.params import ReportParams
from difflab.sd3.params import (
    CacheParams,
    CaptionParams,
    FinetuneParams,
    GenerateParams,
    GuidanceCurveParams,
    LogitMeanParams,
    ScoreParams,
    StepCurveParams,
)

UNCONDITIONAL = ("single_image_32", "single_image_64", "single_class")


class ZooParams(MiniatureZoo):
    """`zoo`: one group per role; `hub: null` trains the role, anything else points to a released model."""

    classifier: ClassifiersParams
    image_vae: ImageVaeParams


class Params(Group):
    """The whole of params.yaml."""

    profile: str
    seed: Seed
    runtime: RuntimeParams
    hardware: HardwareParams
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
    environment: EnvironmentParams

    @model_validator(mode="after")
    def _cards_are_for_released_models(self) -> "Params":
        if self.hardware.card is not None and self.zoo.transformer.hub is None:
            raise ValueError(
                f"hardware is {self.hardware.card}, whose batch sizes are for released models, and zoo.transformer.hub "
                "is null: take profile=paper too, or leave hardware out"
            )
        return self

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
            sampling = self.ddpm_sample[setting]
            if setting in UNCONDITIONAL and sampling.guidance_scale != 1:
                raise ValueError(
                    f"ddpm_sample.{setting}.guidance_scale must be 1: {setting} has no condition to guide by"
                )
            self._check_steps(f"ddpm_sample.{setting}", sampling.num_inference_steps, setting)
        return self

    @model_validator(mode="after")
    def _the_process_can_be_followed(self) -> "Params":
        self._check_steps("process", self.process.num_inference_steps, "class_conditional")
        size = self.ddpm.class_conditional.image_size
        if 2 * self.process.bands > size:
            raise ValueError(
                f"process.bands is {self.process.bands}: images of {size} pixels have room for {size // 2}"
            )
        return self

    def _check_steps(self, group: str, steps: int, setting: str) -> None:
        if steps > (most := self.ddpm[setting].schedule.num_train_timesteps):
            raise ValueError(
                f"{group}.num_inference_steps is {steps}, above ddpm.{setting}.schedule.num_train_timesteps {most}"
            )
