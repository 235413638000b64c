"""Parameter groups of the captioning study, and which of them each of its stages reads."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from difflab.core.params.base import COMMON, Distinct, Group, Seeds, same_names, share
from difflab.core.params.common import HubRef, Seeded, VaeBatch, WithRuntime
from difflab.models.known.pipelines import known_pipelines
from difflab.models.params import GenerationParams, SchedulerName
from difflab.training.params import FitParams


class TitlesParams(GenerationParams):
    """`titles`: three variations of every title by a chat model."""

    retries: int = Field(ge=0)
    max_length: int = Field(ge=8)  # in characters

    @model_validator(mode="after")
    def _a_retry_differs(self) -> "TitlesParams":
        if self.retries and not self.do_sample:
            raise ValueError("retries repeat a greedy answer: set do_sample=true or retries=0")
        return self


class SynthesizeParams(Group):
    """`synthesize`: a picture for every variation of a title."""

    positive: str
    negative: str
    scheduler: SchedulerName
    num_inference_steps: int = Field(ge=1, le=1000)  # the levels of noise that the models were trained on
    guidance_scale: float = Field(ge=1, le=100)
    batch_size: int = Field(ge=1)
    vae: VaeBatch
    offload: bool
    image_size: int | None = Field(ge=8, le=4096)
    sheet_images: int = Field(ge=1)

    @model_validator(mode="after")
    def _negative_prompts_act(self) -> "SynthesizeParams":
        if self.negative and self.guidance_scale == 1:
            raise ValueError("a negative prompt acts through guidance: set guidance_scale above 1")
        return self


class AxesParams(Group):
    """The axes of one sweep: every combination is a cell."""

    models: Distinct[str] = Field(min_length=1)
    schedulers: Distinct[SchedulerName] = Field(min_length=1)
    num_inference_steps: Distinct[Annotated[int, Field(ge=1, le=1000)]] = Field(min_length=1)
    guidance_scales: Distinct[Annotated[float, Field(ge=1, le=100)]] = Field(min_length=1)
    negative: Distinct[bool] = Field(min_length=1)


def _shared(values: Any) -> Any:
    """Presets take from `common` what they do not give."""
    return share(values, dict.fromkeys(values.keys() - {COMMON}, AxesParams)) if isinstance(values, dict) else values


class SweepParams(Group):
    """`sweep`: the same noise and prompts under many options."""

    num_images: int = Field(ge=2)
    batch_size: int = Field(ge=1)
    vae: VaeBatch
    offload: bool
    shown: int = Field(ge=1)
    negative: str
    clip: HubRef | None
    presets: Annotated[dict[str, AxesParams], BeforeValidator(_shared)] = Field(min_length=1)

    @model_validator(mode="after")
    def _models_are_known(self) -> "SweepParams":
        known = known_pipelines()
        for name, axes in self.presets.items():
            if unknown := [model for model in axes.models if model not in known]:
                raise ValueError(f"presets.{name} has the unknown model '{unknown[0]}': one of {', '.join(known)}")
            if True in axes.negative and not self.negative:
                raise ValueError(f"presets.{name} asks for a negative prompt, but negative is empty")
        if alike := same_names(scale for axes in self.presets.values() for scale in axes.guidance_scales):
            raise ValueError(f"presets list guidance {alike[0]!r} and {alike[1]!r}, whose cells have the same name")
        return self


class MixParams(Group):
    """`mix`: which pictures count as the same, and how groups are split."""

    val_fraction: float = Field(gt=0, lt=1)
    test_fraction: float = Field(gt=0, lt=1)
    max_hamming_distance: int = Field(ge=0, le=64)
    min_correlation: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _groups_are_left_to_train_on(self) -> "MixParams":
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction and test_fraction together must stay below 1")
        return self


class CaptionerLoraParams(Group):
    """A LoRA adapter of the captioner's language model."""

    rank: int = Field(ge=1, le=1024)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    targets: Distinct[str] = Field(min_length=1)


class DecodingParams(Group):
    """How the captioner writes: the most likely tokens, without randomness."""

    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=1)
    num_beams: int = Field(ge=1, le=1024)


class CaptionerTrainingParams(FitParams):
    """`captioner.training`: what every training has, and the average of the weights that is kept."""

    ema_decay: float = Field(ge=0, lt=1)


class CaptionerSettings(Group):
    """One captioner: a frozen ViT, a projector and a language model with LoRA."""

    patch_pooling: int = Field(ge=1)
    visual_dropout: float = Field(ge=0, lt=1)
    lora: CaptionerLoraParams
    training: CaptionerTrainingParams
    decoding: DecodingParams


class CaptionerParams(CaptionerSettings):
    """`captioner`: one captioner for each seed on all originals, and for each fewer number and each subset seed."""

    originals: Distinct[PositiveInt | None] = Field(min_length=1)
    seeds: Seeds
    subset_seeds: Seeds

    @model_validator(mode="after")
    def _all_originals_are_among_the_sizes(self) -> "CaptionerParams":
        if None not in self.originals:
            raise ValueError("originals must list null, all of them: the comparison and `difflab caption` are theirs")
        return self


class CaptionerInstructParams(Group):
    """`captioner_instruct`: how an instruction model is asked for captions; it takes the most likely tokens."""

    instruction: str = Field(min_length=1)
    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=1)


class CaptionScoreParams(Group):
    """`caption_score`: how captioners are compared."""

    resamples: int = Field(ge=100, le=1_000_000)
    margin: float = Field(gt=0, le=10)


class VaryTitlesInputs(Seeded, WithRuntime):
    titles: TitlesParams
    mix: Annotated[MixParams, "val_fraction", "test_fraction"]


class SynthesizeInputs(Seeded, WithRuntime):
    synthesize: SynthesizeParams


class SweepInputs(Seeded, WithRuntime):
    sweep: SweepParams


class MixInputs(Seeded):
    mix: MixParams


class CaptionerInputs(Seeded, WithRuntime):
    captioner: CaptionerParams


class CaptionerZeroShotInputs(Seeded, WithRuntime):
    captioner: Annotated[CaptionerSettings, "patch_pooling", "visual_dropout", "lora", "decoding"]


class CaptionerInstructInputs(WithRuntime):
    captioner_instruct: CaptionerInstructParams


class CaptionScoreInputs(Seeded):
    caption_score: CaptionScoreParams
