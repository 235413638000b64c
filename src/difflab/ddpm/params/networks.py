"""Groups of the pixel diffusion models: noise schedule, objective, network, training, sampling."""

from typing import Literal

from pydantic import Field, model_validator

from difflab.core.params.base import Group


class ScheduleParams(Group):
    """The noise levels, see `difflab.ddpm.networks.schedule`."""

    kind: Literal["linear", "cosine", "ve"]
    num_train_timesteps: int = Field(ge=2)
    beta_start: float = Field(gt=0, lt=1)
    beta_end: float = Field(gt=0, lt=1)
    sigma_min: float = Field(gt=0)
    sigma_max: float = Field(gt=0)

    @model_validator(mode="after")
    def _ascends(self) -> "ScheduleParams":
        if self.beta_end < self.beta_start or self.sigma_max <= self.sigma_min:
            raise ValueError("beta_end and sigma_max must be above beta_start and sigma_min")
        return self


class ObjectiveParams(Group):
    """What the network predicts and how errors count, see `difflab.ddpm.training.weighting`."""

    prediction: Literal["epsilon", "v", "x0", "flow"]
    weighting: Literal["epsilon", "v", "x0", "flow", "min_snr", "edm"]
    snr_gamma: float = Field(gt=0)
    sigma_data: float = Field(gt=0)
    density: Literal["timestep", "log_normal"]
    log_mean: float
    log_std: float = Field(gt=0)


class UNetParams(Group):
    """The kind and size of a network, see `difflab.ddpm.networks.networks`."""

    kind: Literal["unet", "drunet"]
    patch_size: Literal[1, 2, 4]
    block_out_channels: list[int] = Field(min_length=1)
    layers_per_block: int = Field(ge=1)
    attention_levels: list[int]
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


class ImageTrainingParams(Group):
    """Settings of `difflab.ddpm.training.denoiser_training.train_denoiser`: AdamW, warm-up, cosine decay to zero."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_steps: int = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    ema_decay: float = Field(ge=0, lt=1)
    flip: bool
    condition_dropout: float = Field(ge=0, le=1)
    channels_last: bool
    validation_interval: int = Field(ge=1)
    checkpoint_interval: int = Field(ge=1)
    log_interval: int = Field(ge=1)
