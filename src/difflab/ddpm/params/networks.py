"""Groups of the pixel diffusion models: noise schedule, objective, network, training, sampling."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Group


class ScheduleParams(Group):
    """The noise levels, see `difflab.ddpm.networks.schedule`."""

    kind: Literal["linear", "cosine", "ve"]
    num_train_timesteps: int = Field(ge=2)
    beta_start: float = Field(gt=0, lt=1, description="linear: first beta")
    beta_end: float = Field(gt=0, lt=1, description="linear: last beta")
    sigma_min: float = Field(gt=0, description="ve: least noise on images in [-1, 1]")
    sigma_max: float = Field(gt=0, description="ve: largest noise")

    @model_validator(mode="after")
    def _ascends(self) -> "ScheduleParams":
        if self.beta_end < self.beta_start or self.sigma_max <= self.sigma_min:
            raise ValueError("beta_end and sigma_max must be above beta_start and sigma_min")
        return self


class ObjectiveParams(Group):
    """What the network predicts and how errors count, see `difflab.ddpm.training.weighting`."""

    prediction: Literal["epsilon", "v", "x0", "flow"]
    weighting: Literal["epsilon", "v", "x0", "flow", "min_snr", "edm"]
    snr_gamma: float = Field(gt=0, description="min_snr: largest weight; 5 in the paper")
    sigma_data: float = Field(gt=0, description="edm: standard deviation of the images; 0.5 in the paper")
    density: Literal["timestep", "log_normal"] = Field(
        description="timestep: uniform over the schedule; log_normal: ln(sigma) ~ N(log_mean, log_std^2), as EDM"
    )
    log_mean: float
    log_std: float = Field(gt=0)


class UNetParams(Group):
    """The kind and size of a network, see `difflab.ddpm.networks.networks`."""

    kind: Literal["unet", "drunet"] = Field(
        description="unet: diffusers' UNet2DModel, with prompts UNet2DConditionModel; drunet: a residual U-Net "
        "without normalisation, condition or attention"
    )
    patch_size: Literal[1, 2, 4] = Field(description="side of the squares of pixels that enter as channels")
    block_out_channels: list[int] = Field(min_length=1, description="width at full size, at half size, ...")
    layers_per_block: int = Field(ge=1)
    attention_levels: list[int] = Field(description="levels with self-attention, 0 is full size")
    norm_num_groups: int = Field(ge=1, description="groups of each GroupNorm; must divide every width")
    attention_head_dim: int = Field(
        ge=1, description="channels of a head; must divide the widths with attention"
    )

    @model_validator(mode="after")
    def _fits(self) -> "UNetParams":
        if odd := [width for width in self.block_out_channels if width % self.norm_num_groups]:
            raise ValueError(f"norm_num_groups {self.norm_num_groups} does not divide the width {odd[0]}")
        if beyond := [
            level for level in self.attention_levels if not 0 <= level < len(self.block_out_channels)
        ]:
            raise ValueError(
                f"attention_levels has {beyond[0]}, but the levels go from 0 to "
                f"{len(self.block_out_channels) - 1}"
            )
        if self.kind == "drunet" and self.attention_levels:
            raise ValueError("a drunet has no attention: attention_levels must be []")
        attending = [self.block_out_channels[level] for level in self.attention_levels]
        attending += self.block_out_channels[-1:] if attending else []  # the middle block attends too
        if odd := [width for width in attending if width % self.attention_head_dim]:
            raise ValueError(
                f"attention_head_dim {self.attention_head_dim} does not divide the width {odd[0]}"
            )
        return self


class ImageTrainingParams(Group):
    """Settings of `difflab.ddpm.training.denoiser_training.train_denoiser`: AdamW, warm-up, cosine decay to zero."""

    steps: int = Field(ge=1, description="optimizer steps")
    batch_size: int = Field(ge=1, description="images in a step")
    learning_rate: float = Field(gt=0, description="peak learning rate")
    weight_decay: float = Field(ge=0, description="decoupled weight decay of AdamW")
    warmup_steps: int = Field(ge=0, description="steps of linear warm-up")
    max_grad_norm: float = Field(gt=0, description="gradients are clipped to this norm")
    ema_decay: float = Field(ge=0, lt=1, description="decay of the weight average; 0 keeps none")
    flip: bool = Field(description="mirror half of the images")
    condition_dropout: float = Field(
        ge=0, le=1, description="share of samples trained without their condition"
    )
    channels_last: bool = Field(description="memory layout of convolutions; faster on most processors")
    validation_interval: int = Field(ge=1, description="steps between two curve rows")
    checkpoint_interval: int = Field(ge=1, description="steps between two saved states")
    log_interval: int = Field(ge=1, description="steps between two status lines")
