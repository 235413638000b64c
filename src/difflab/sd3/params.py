"""Parameter groups of the SD3 LoRA study, and what each of its stages reads of params.yaml."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from difflab.core.params.base import Distinct, Family, Group, Seeds
from difflab.core.params.common import Dtype, Seeded, VaeBatch, WithRuntime
from difflab.images.params import BalanceParams
from difflab.models.params import BasePrecision, GenerationParams, LoraParams
from difflab.sd3.artifacts.cells import BOTH, CAPTIONS, OWN, PUBLISHED
from difflab.training.params import DensityParams, FlowTrainingParams

Split = Literal["train", "val", "test"]
NUM_TRAIN_TIMESTEPS = 1000  # of Stable Diffusion 3, and of the base that is trained here
LogitMean = Annotated[float, Field(ge=-10, le=10)]


class Blip2CaptionParams(GenerationParams):
    """`caption.blip2`: captions of the images alone, without a prompt."""

    long_caption: int = Field(ge=1)


class Llama3CaptionParams(GenerationParams):
    """`caption.llama3`: the short caption rewritten with the facts."""

    subjective: Literal["keep", "drop"]


class CaptionParams(Family):
    """`caption`: both captioners."""

    blip2: Blip2CaptionParams
    llama3: Llama3CaptionParams


class PromptCacheParams(Group):
    """`cache.prompts`: embeddings of every caption, kept per encoder."""

    max_sequence_length: int = Field(ge=8, le=512)
    dtype: Dtype
    batch_size: int = Field(ge=1)
    offload: bool
    shard_size: int = Field(ge=1)


class LatentCacheParams(Group):
    """`cache.latents`: moments of the images under the autoencoder."""

    image_size: int = Field(ge=8, multiple_of=8)
    mirror: bool
    dtype: Dtype
    batch_size: int = Field(ge=1)
    vae: VaeBatch
    shard_size: int = Field(ge=1)


class CacheParams(Group):
    """`cache`."""

    prompts: PromptCacheParams
    latents: LatentCacheParams


class FinetuneParams(Group):
    """`finetune`: LoRA fine-tuning of the base on cached latents and prompts."""

    seeds: Seeds
    training: FlowTrainingParams
    density: DensityParams
    lora: LoraParams
    base: BasePrecision
    add_celeba: bool
    validation_samples: int = Field(ge=1)
    adapter_steps: Distinct[int]

    @model_validator(mode="after")
    def _adapter_steps_happen(self) -> "FinetuneParams":
        if beyond := [s for s in self.adapter_steps if not 0 < s <= self.training.steps]:
            raise ValueError(f"adapter_steps has {beyond[0]}, but training.steps is {self.training.steps}")
        return self


class LogitMeanParams(Group):
    """`logit_mean`: the mean of the logit-normal density in each column of the study."""

    minus: LogitMean
    zero: LogitMean
    plus: LogitMean


class TrainedOnParams(Group):
    """`trained_on`: by kind the captions that the adapters behind its prompts were trained on: of that kind or `both`.

    Prompts of the pictures' own captions can go to the adapters of any kind.
    """

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="after")
    def _kinds_are_known(self) -> "TrainedOnParams":
        given = self.model_dump()
        if given.keys() != set(CAPTIONS):
            raise ValueError(f"the kinds of captions are {', '.join(CAPTIONS)} (given: {', '.join(given)})")
        for kind, trained_on in given.items():
            known = [*CAPTIONS, BOTH] if kind == OWN else [kind, BOTH] if kind in PUBLISHED else [kind]
            if trained_on not in known:
                raise ValueError(f"{kind} is '{trained_on}': give {' or '.join(known)}")
        if given[OWN] not in (OWN, *(trained_on for kind, trained_on in given.items() if kind != OWN)):
            raise ValueError(f"{OWN} is '{given[OWN]}', on which no other kind's adapters are trained")
        return self


class GenerateParams(Group):
    """`generate`: images for the prompts of a split, with each training's own noise."""

    split: Split
    num_images: int | None = Field(ge=1)
    seeds: Seeds
    num_inference_steps: int = Field(ge=1, le=NUM_TRAIN_TIMESTEPS)
    guidance_scale: float = Field(ge=0, le=100)
    batch_size: int = Field(ge=1)
    vae: VaeBatch
    grid_images: int = Field(ge=1)


class ScoreParams(Group):
    """`score`: how generated images are compared with real ones."""

    extractor: Literal["vision_encoder", "inception"]
    reference_split: Split
    floor_split: Split
    min_images: int = Field(ge=4)  # recall looks at three neighbours of each, half of them have a covariance
    batch_size: int = Field(ge=1)
    kid_subsets: int = Field(ge=1, le=10_000)
    kid_subset_size: int = Field(ge=2)
    margin: float = Field(gt=0, lt=1)
    real_faces: bool

    @model_validator(mode="after")
    def _floor_is_another_set(self) -> "ScoreParams":
        if self.floor_split == self.reference_split:
            raise ValueError("floor_split and reference_split must differ: a set's distance to itself is zero")
        return self


class PromptedParams(Group):
    """Prompts of one kind of captions, and how many of them."""

    captions: str = Field(pattern=f"^({'|'.join(kind for kind in CAPTIONS if kind != OWN)})$")
    num_images: int = Field(ge=2)


class CurveParams(PromptedParams):
    """What both curves are measured on: prompts of one kind, the adapters of one cell, and a number of images of each."""

    trained_on: str = Field(pattern=f"^({'|'.join((*CAPTIONS, BOTH))})$")
    logit_mean: Literal["minus", "zero", "plus"]


class GuidanceCurveParams(CurveParams):
    """`guidance_curve`: Frechet distance and accuracy against the guidance scale."""

    guidance_scales: Distinct[Annotated[float, Field(ge=0, le=100)]] = Field(min_length=1)


class StepCurveParams(CurveParams):
    """`step_curve`: the same against the training step, at generate.guidance_scale."""


class BlocksParams(PromptedParams):
    """`blocks`: which blocks of the base matter, and whether that predicts what tuning them brings."""

    ablated_images: int = Field(ge=4)
    held_out_samples: int = Field(ge=2)
    mean_samples: int = Field(ge=1)
    logit_mean: Literal["minus", "zero", "plus"]
    k: int = Field(ge=1)
    random_sets: int = Field(ge=1)
    seeds: Seeds
    steps: int = Field(ge=1)
    targets: Distinct[str] = Field(min_length=1)


class CaptionBlip2Inputs(Seeded, WithRuntime):
    caption: Annotated[CaptionParams, "blip2"]


class CaptionLlama3Inputs(Seeded, WithRuntime):
    caption: Annotated[CaptionParams, "llama3"]


class CacheLatentsInputs(WithRuntime):
    cache: Annotated[CacheParams, "latents"]


class CachePromptsInputs(WithRuntime):
    cache: Annotated[CacheParams, "prompts"]


class FinetuneInputs(Seeded, WithRuntime):
    balance: BalanceParams
    finetune: FinetuneParams
    logit_mean: LogitMeanParams


class GenerateInputs(Seeded, WithRuntime):
    finetune: Annotated[FinetuneParams, "seeds"]
    trained_on: TrainedOnParams
    generate: GenerateParams


class ScoreInputs(Seeded, WithRuntime):
    finetune: Annotated[FinetuneParams, "seeds"]
    generate: GenerateParams
    score: ScoreParams


class GuidanceCurveInputs(ScoreInputs):
    guidance_curve: GuidanceCurveParams


class StepCurveInputs(ScoreInputs):
    step_curve: StepCurveParams


class RankBlocksInputs(Seeded, WithRuntime):
    generate: GenerateParams
    score: ScoreParams
    blocks: Annotated[BlocksParams, "captions", "ablated_images", "held_out_samples", "mean_samples"]


class TuneBlocksInputs(Seeded, WithRuntime):
    generate: GenerateParams
    score: ScoreParams
    finetune: Annotated[FinetuneParams, "training", "density", "lora", "base"]
    logit_mean: LogitMeanParams
    blocks: BlocksParams
