"""Groups of the DDPM study, and what each of its stages reads of params.yaml, as dvc.yaml declares it."""

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Distinct, Family, Group, Seeds, Width
from difflab.core.params.common import Seeded, WithRuntime
from difflab.ddpm.common.settings import CONDITIONAL
from difflab.models.params import AutoencoderParams, Rulers
from difflab.training.params import FitParams

Prediction = Literal["epsilon", "v", "x0", "flow"]
SettingName = Literal["single_image_32", "single_image_64", "single_class", "class_conditional", "latent", "text"]
Sampler = Literal["ddpm", "ddim", "heun", "dpm++", "euler_maruyama"]


class ScheduleParams(Group):
    """The noise levels, see `difflab.ddpm.common.schedule`."""

    kind: Literal["linear", "cosine", "ve"]
    num_train_timesteps: int = Field(ge=2, le=100_000)
    beta_start: float = Field(gt=0, lt=1)
    beta_end: float = Field(gt=0, lt=1)
    sigma_min: float = Field(gt=0)
    sigma_max: float = Field(gt=0)

    @model_validator(mode="after")
    def _ascends(self) -> "ScheduleParams":
        if self.beta_end < self.beta_start or self.sigma_max <= self.sigma_min:
            raise ValueError("beta_end and sigma_max must be above beta_start and sigma_min")
        if self.reach()[1] > 1e30:
            raise ValueError(
                f"{self.num_train_timesteps} timesteps up to beta_end {self.beta_end:g} and sigma_max {self.sigma_max:g} "
                "end in noise that float32 cannot hold: lower them"
            )
        return self

    def reach(self) -> tuple[float, float]:
        """The least and the greatest sigma of the schedule, in float64; infinite where abar underflows."""
        count = self.num_train_timesteps
        if self.kind == "ve":
            return self.sigma_min, self.sigma_max
        if self.kind == "linear":
            rise = (self.beta_end - self.beta_start) / (count - 1)
            logs = [math.log1p(-self.beta_start - n * rise) for n in range(count)]
        else:  # as `schedule.cosine`
            share = [math.cos((n / count + 0.008) / 1.008 * math.pi / 2) ** 2 for n in range(count + 1)]
            logs = [math.log(max(1e-3, after / before)) for before, after in pairwise(share)]
        return _sigma(logs[0]), _sigma(sum(logs))


def _sigma(log_abar: float) -> float:
    return math.sqrt(math.expm1(-log_abar)) if log_abar > -700 else math.inf


class ObjectiveParams(Group):
    """What the network predicts and how errors count, see `difflab.ddpm.training.objective`."""

    prediction: Prediction
    weighting: Literal["epsilon", "v", "x0", "flow", "min_snr", "edm"]
    snr_gamma: float = Field(gt=0)
    sigma_data: float = Field(gt=0)
    density: Literal["timestep", "log_normal"]
    log_mean: float
    log_std: float = Field(gt=0)


class UNetParams(Group):
    """The kind and size of a network, see `difflab.ddpm.common.networks`."""

    kind: Literal["unet", "drunet"]
    patch_size: Literal[1, 2, 4]
    block_out_channels: list[Width] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    attention_levels: Distinct[int]
    norm_num_groups: int = Field(ge=1)
    attention_head_dim: int = Field(ge=1)

    @model_validator(mode="after")
    def _fits(self) -> "UNetParams":
        if odd := [width for width in self.block_out_channels if width % self.norm_num_groups]:
            raise ValueError(f"norm_num_groups {self.norm_num_groups} does not divide the width {odd[0]}")
        if beyond := [level for level in self.attention_levels if not 0 <= level < len(self.block_out_channels)]:
            raise ValueError(
                f"attention_levels has {beyond[0]}, but the levels go from 0 to {len(self.block_out_channels) - 1}"
            )
        if self.kind == "drunet" and self.attention_levels:
            raise ValueError("a drunet has no attention: attention_levels must be []")
        attending = [self.block_out_channels[level] for level in self.attention_levels]
        attending += self.block_out_channels[-1:] if attending else []  # the middle block attends too
        if odd := [width for width in attending if width % self.attention_head_dim]:
            raise ValueError(f"attention_head_dim {self.attention_head_dim} does not divide the width {odd[0]}")
        return self


class ImageTrainingParams(FitParams):
    """Settings of `difflab.ddpm.training.denoiser_training.train_denoiser`: AdamW, warm-up, cosine decay to zero."""

    ema_decay: float = Field(ge=0, lt=1)
    flip: bool
    condition_dropout: float = Field(ge=0, le=1)
    channels_last: bool
    validation_interval: int = Field(ge=1)


class PixelModelParams(Group):
    """What every pixel model has."""

    image_size: int = Field(ge=8, le=1024)
    unet: UNetParams
    training: ImageTrainingParams

    @model_validator(mode="after")
    def _levels_fit(self) -> "PixelModelParams":
        unit = self.unet.patch_size * 2 ** (len(self.unet.block_out_channels) - 1)
        if self.image_size % unit:
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of {unit}: patches of {self.unet.patch_size} pixels, "
                f"halved {len(self.unet.block_out_channels) - 1} times"
            )
        return self


class SettingParams(PixelModelParams):
    """One setting of the DDPM series: what is trained on what."""

    seeds: Seeds
    channels: Literal[1, 3]
    schedule: ScheduleParams
    objective: ObjectiveParams


class SingleImageParams(SettingParams):
    """`ddpm.single_image_32`, `ddpm.single_image_64`: one picture, memorised."""

    image: int = Field(ge=0)


class TextSettingParams(SettingParams):
    """`ddpm.text`: prompts by cross-attention."""

    prompt_dim: int = Field(ge=8, multiple_of=8)


class DdpmParams(Family):
    """`ddpm`: the DDPM series."""

    single_image_32: SingleImageParams
    single_image_64: SingleImageParams
    single_class: SettingParams
    class_conditional: SettingParams
    latent: SettingParams
    text: TextSettingParams

    @model_validator(mode="after")
    def _conditions_are_read(self) -> "DdpmParams":
        for name in CONDITIONAL:
            if self[name].unet.kind == "drunet":
                raise ValueError(f"{name}.unet.kind is drunet, which cannot be told a class or a prompt: take unet")
        return self

    @model_validator(mode="after")
    def _trained_equally_often(self) -> "DdpmParams":
        names = list(self.groups())
        for first, *others in (names[:2], names[2:]):  # PSNR to one image, distances
            for other in others:
                if len(self[first].seeds) != len(self[other].seeds):
                    raise ValueError(
                        f"{other}.seeds has {len(self[other].seeds)} and {first}.seeds {len(self[first].seeds)}: the "
                        "intervals of their scores share one spread, give both equally many"
                    )
        return self


class SettingSamplingParams(Group):
    """How one setting is sampled."""

    num_images: int = Field(ge=4)
    seeds: Seeds
    sampler: Sampler
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0, le=100)
    eta: float = Field(ge=0, le=1)


class DdpmSampleParams(Family):
    """`ddpm_sample`: the images of every setting."""

    batch_size: int = Field(ge=1)
    single_image_32: SettingSamplingParams
    single_image_64: SettingSamplingParams
    single_class: SettingSamplingParams
    class_conditional: SettingSamplingParams
    latent: SettingSamplingParams
    text: SettingSamplingParams


class ProcessParams(Group):
    """`process`: what appears first?"""

    num_images: int = Field(ge=2)
    num_inference_steps: int = Field(ge=2)
    bands: int = Field(ge=2)
    words: Distinct[str] = Field(min_length=1)


class MemorisationParams(Group):
    """`memorisation`: do samples copy training images?"""

    settings: Distinct[SettingName] = Field(min_length=1)
    pairs: int = Field(ge=1)


class ColdParams(PixelModelParams):
    """`cold`: deterministic degradations in place of noise."""

    levels: int = Field(ge=1, le=1000)
    widest_blur: float = Field(ge=0.3, le=1024)  # of the narrowest, in pixels
    test_images: int = Field(ge=2)


class DenoiseParams(PixelModelParams):
    """`denoise`: three denoisers of reference 001 at one strength of noise."""

    seeds: Seeds
    sigma: float = Field(gt=0, lt=1)
    clipped: bool
    v0_steps: int = Field(ge=1)
    schedule: ScheduleParams
    objective: ObjectiveParams
    validation_images: int = Field(ge=1)

    @model_validator(mode="after")
    def _noise_is_on_the_schedule(self) -> "DenoiseParams":
        low, high = self.schedule.reach()
        if not low <= 2 * self.sigma <= high:
            raise ValueError(
                f"sigma is {self.sigma:g}, and the schedule goes from {low / 2:.4g} to {high / 2:.4g} (of images in "
                "[0, 1]): choose a sigma within, or another schedule"
            )
        return self


class DenoiseScoreParams(Group):
    """`denoise_score`."""

    self_ensemble: bool


class ClassifierParams(Group):
    """`zoo.classifier.<dataset>`: the ResNet-20 that judges generated images."""

    weights: str | None = Field(min_length=1)
    flip: bool
    shift: int = Field(ge=0)
    training: FitParams


class ClassifiersParams(Family):
    """`zoo.classifier`."""

    cifar10: ClassifierParams
    mnist: ClassifierParams


class ImageVaeParams(AutoencoderParams):
    """`zoo.image_vae`: the small AutoencoderKL of the latent setting."""

    training: FitParams


class ZooClassifierInputs(WithRuntime):
    class Data:
        data_root: str | None

    class Zoo:
        rulers: Rulers
        classifier: ClassifiersParams

    data: Data
    zoo: Zoo


class ZooImageVaeInputs(Seeded, WithRuntime):
    class Zoo:
        image_vae: ImageVaeParams

    zoo: Zoo


class DenoiseInputs(Seeded, WithRuntime):
    denoise: DenoiseParams


class DenoiseScoreInputs(Seeded, WithRuntime):
    denoise: Annotated[DenoiseParams, "clipped", "image_size", "sigma"]
    denoise_score: DenoiseScoreParams


class DdpmInputs(Seeded, WithRuntime):
    ddpm: DdpmParams


class DdpmSampleInputs(Seeded, WithRuntime):
    ddpm_sample: DdpmSampleParams


class DdpmScoreInputs(Seeded, WithRuntime):
    pass


class ProcessInputs(Seeded, WithRuntime):
    ddpm_sample: Annotated[DdpmSampleParams, "text"]
    process: ProcessParams


class MemorisationInputs(Seeded):
    memorisation: MemorisationParams


class ColdInputs(Seeded, WithRuntime):
    cold: ColdParams
