"""Groups of the DDPM series: what each setting trains, how it is sampled, and who judges it."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Distinct, Family, Group
from difflab.ddpm.params.networks import ImageTrainingParams, ObjectiveParams, ScheduleParams, UNetParams


class SettingParams(Group):
    """One setting of the DDPM series: what is trained on what."""

    image_size: int = Field(ge=8)
    channels: Literal[1, 3]
    unet: UNetParams
    schedule: ScheduleParams
    objective: ObjectiveParams
    training: ImageTrainingParams

    @model_validator(mode="after")
    def _levels_fit(self) -> "SettingParams":
        unit = self.unet.patch_size * 2 ** (len(self.unet.block_out_channels) - 1)
        if self.image_size % unit:
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of {unit}: patches of {self.unet.patch_size} pixels, "
                f"halved {len(self.unet.block_out_channels) - 1} times"
            )
        return self


class SingleImageParams(SettingParams):
    """`ddpm.single_image_32`, `ddpm.single_image_64`: one picture, learnt by heart."""

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


class SettingSamplingParams(Group):
    """How one setting is sampled."""

    num_images: int = Field(ge=1)
    seeds: Distinct[int] = Field(min_length=1)
    sampler: Literal["ddpm", "ddim", "heun", "dpm++", "euler_maruyama"]
    num_inference_steps: int = Field(ge=1)
    guidance_scale: float = Field(ge=0)
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
