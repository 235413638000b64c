"""All parameters of the study in one place: the shape of params.yaml."""

from pydantic import model_validator

from difflab.attention.params import AttentionMapsParams
from difflab.captioning.params import (
    CaptionerInstructParams,
    CaptionerParams,
    CaptionScoreParams,
    MixParams,
    SweepParams,
    SynthesizeParams,
    TitlesParams,
)
from difflab.core.base.errors import suggestion
from difflab.core.params.base import Group, Seed
from difflab.core.params.common import EnvironmentParams, HardwareParams, RuntimeParams, TrackingParams
from difflab.ddpm.common.prompts import unreadable_prompt
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
from difflab.personal.params import PersonalParams
from difflab.report.params import ReportParams
from difflab.sd3.params import (
    BlocksParams,
    CacheParams,
    CaptionParams,
    FinetuneParams,
    GenerateParams,
    GuidanceCurveParams,
    LogitMeanParams,
    ScoreParams,
    StepCurveParams,
    TrainedOnParams,
)
from difflab.study_limits import check_limits

UNCONDITIONAL = ("single_image_32", "single_image_64", "single_class")
CLASSES = 10  # of the set that `process` follows
_SD3_LAYERS = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj",
    "attn.add_v_proj", "attn.to_add_out", "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0", "ff.net.0.proj",
    "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "norm1.linear", "norm1_context.linear")  # fmt: skip
_UNET_LAYERS = ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "attn2.to_k", "attn2.to_v",
    "attn2.to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out", "time_emb_proj", "linear_1", "linear_2",
    "pool.q_proj", "pool.k_proj", "pool.v_proj", "add_embedding.proj")  # fmt: skip
_CLIP_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
_LLAMA_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


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
    trained_on: TrainedOnParams
    generate: GenerateParams
    guidance_curve: GuidanceCurveParams
    step_curve: StepCurveParams
    blocks: BlocksParams
    attention_maps: AttentionMapsParams
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
    personal: PersonalParams
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
    def _models_trained_here_are_not_the_published_ones(self) -> "Params":
        if self.report.comparable and self.zoo.transformer.hub is None:
            raise ValueError(
                "report.comparable is true, and zoo.transformer.hub is null: scores of models that are trained here do "
                "not compare with the published ones; set it to false, or take profile=paper"
            )
        return self

    @model_validator(mode="after")
    def _groups_allow_each_other(self) -> "Params":
        check_limits(self)
        return self

    @model_validator(mode="after")
    def _enough_images_are_scored(self) -> "Params":
        for name in ("generate", "guidance_curve", "step_curve", "blocks"):
            count = getattr(self, name).num_images
            if count is not None and count < self.score.min_images:
                raise ValueError(f"{name}.num_images is {count}, below score.min_images {self.score.min_images}")
        return self

    @model_validator(mode="after")
    def _curves_are_of_trained_cells(self) -> "Params":
        trained = {*self.trained_on.model_dump().values()}
        for name in ("guidance_curve", "step_curve", "attention_maps"):
            if (cell := getattr(self, name).trained_on) not in trained:
                raise ValueError(
                    f"{name}.trained_on is {cell}, but adapters are trained on {' and '.join(sorted(trained))}"
                )
        return self

    @model_validator(mode="after")
    def _sampling_fits_the_settings(self) -> "Params":
        for setting in self.ddpm_sample.groups():
            sampling = self.ddpm_sample[setting]
            if setting in UNCONDITIONAL and sampling.guidance_scale != 1:
                raise ValueError(
                    f"ddpm_sample.{setting}.guidance_scale must be 1: {setting} has no condition to guide by"
                )
            dropout = self.ddpm[setting].training.condition_dropout
            _check_guidance(f"ddpm_sample.{setting}", sampling.guidance_scale, f"ddpm.{setting}.training", dropout)
            self._check_steps(f"ddpm_sample.{setting}", sampling.num_inference_steps, setting, sampling.sampler)
        return self

    @model_validator(mode="after")
    def _guidance_was_trained(self) -> "Params":
        """Guidance leads away from what a model says without its condition, which it must have learnt."""
        transformer, diffusion = self.zoo.transformer, self.zoo.diffusion
        if transformer.hub is None:
            dropout = max(transformer.training.prompt_dropout, self.finetune.training.prompt_dropout)
            for name, scale in (
                ("generate", self.generate.guidance_scale),
                ("guidance_curve", max(self.guidance_curve.guidance_scales)),
            ):
                _check_guidance(name, scale, "zoo.transformer.training", dropout, "prompt_dropout")
        if diffusion.hub is None:
            scale = self.synthesize.guidance_scale
            _check_guidance("synthesize", scale, "zoo.diffusion", diffusion.prompt_dropout, "prompt_dropout")
        return self

    @model_validator(mode="after")
    def _models_fit_together(self) -> "Params":
        """What a stage would refuse of models that are trained here; of released ones it reads the sizes."""
        zoo, size = self.zoo, self.cache.latents.image_size
        factor = 2 ** (len(zoo.vae.block_out_channels) - 1) if zoo.vae.hub is None else 8
        patch = zoo.transformer.patch_size if zoo.transformer.hub is None else 2
        if size % (factor * patch):
            raise ValueError(
                f"cache.latents.image_size is {size}, no multiple of {factor * patch}: the autoencoder makes images "
                f"{factor} times smaller, the transformer reads patches of {patch}"
            )
        vision = zoo.vision_encoder
        if vision.hub is None and (grid := vision.image_size // vision.patch_size) % self.captioner.patch_pooling:
            raise ValueError(
                f"captioner.patch_pooling is {self.captioner.patch_pooling}, which does not divide the {grid} x {grid} "
                "patches of zoo.vision_encoder"
            )
        return self

    @model_validator(mode="after")
    def _adapters_fit(self) -> "Params":
        zoo, lora = self.zoo, self.finetune.lora
        for name, targets, layers in (
            ("finetune.lora.targets", lora.targets, _SD3_LAYERS),
            ("blocks.targets", self.blocks.targets, _SD3_LAYERS),
            ("captioner.lora.targets", self.captioner.lora.targets, _LLAMA_LAYERS),
        ):
            known = {*layers, *(layer.partition(".")[0] for layer in layers if "norm" not in layer)}
            for target in targets:
                if target not in known:
                    raise ValueError(f"{name}: '{target}' matches no linear layer{suggestion(target, sorted(known))}")
        if zoo.transformer.hub is None:
            width = zoo.transformer.num_attention_heads * zoo.transformer.attention_head_dim
            _check_rank("finetune", lora.rank, width)
            if lora.blocks != "all" and max(lora.blocks) >= zoo.transformer.num_layers:
                last = zoo.transformer.num_layers - 1
                raise ValueError(f"finetune.lora.blocks has {max(lora.blocks)}: the transformer has 0 to {last}")
            if 2 * self.blocks.k > zoo.transformer.num_layers:
                raise ValueError(
                    f"blocks.k is {self.blocks.k}, but the transformer has {zoo.transformer.num_layers} blocks: the best "
                    f"and the worst {self.blocks.k} would overlap"
                )
        if zoo.language.hub is None:
            _check_rank("captioner", self.captioner.lora.rank, zoo.language.hidden_size)
        return self

    @model_validator(mode="after")
    def _personal_adapters_fit(self) -> "Params":
        """Of the base that is trained here; a released one is looked into by its stage."""
        lora = self.personal.lora
        if self.personal.base.hub is not None:
            return self
        for name, targets, layers in (
            ("targets", lora.targets, _UNET_LAYERS),
            ("text_targets", lora.text_targets, _CLIP_LAYERS),
        ):
            for target in targets:
                if not any(
                    f".{layer}".endswith(f".{target}") or f".{target}".endswith(f".{layer}") for layer in layers
                ):
                    raise ValueError(
                        f"personal.lora.{name}: '{target}' matches no linear layer{suggestion(target, layers)}"
                    )
        _check_rank("personal", lora.rank, max(self.zoo.diffusion.block_out_channels))
        return self

    @model_validator(mode="after")
    def _stages_have_what_they_need(self) -> "Params":
        if not self.finetune.adapter_steps:
            raise ValueError("finetune.adapter_steps is empty: step_curve measures the adapters of these steps")
        if len(self.captioner.seeds) < 2:
            raise ValueError("captioner.seeds has one seed: caption_score pairs the trainings of two or more")
        for name in self.data.groups():
            given = getattr(self.data, name)
            if given.source == "download" and given.url is None:
                raise ValueError(f"data.{name}.source is download, but data.{name}.url is null: set one, or data_root")
            if given.url is not None and not given.url.startswith(("http://", "https://")):
                raise ValueError(f"data.{name}.url is '{given.url}': an http(s) address is needed")
        return self

    @model_validator(mode="after")
    def _precision_trains(self) -> "Params":
        if self.runtime.dtype == "float16":
            raise ValueError("runtime.dtype is float16, in which nothing trains: take bfloat16 or float32")
        if self.finetune.base != "full" and self.runtime.device == "cpu":
            raise ValueError(
                f"finetune.base is {self.finetune.base}, which wants an NVIDIA GPU, and runtime.device is cpu: take "
                "finetune.base=full"
            )
        return self

    @model_validator(mode="after")
    def _the_trained_pipeline_takes_the_scheduler(self) -> "Params":
        if self.zoo.diffusion.hub is None and self.synthesize.scheduler == "flow-match":
            raise ValueError(
                "synthesize.scheduler is flow-match, and zoo.diffusion trains no flow model: take ddim or euler"
            )
        return self

    @model_validator(mode="after")
    def _the_process_can_be_followed(self) -> "Params":
        for prompt in self.process.words:
            if reason := unreadable_prompt(prompt):
                raise ValueError(f"process.words: '{prompt}' {reason}")
        self._check_steps("process", self.process.num_inference_steps, "class_conditional", "ddim")
        if self.process.num_images < 2 * CLASSES:
            raise ValueError(
                f"process.num_images is {self.process.num_images}: what is decided is measured around the mean of each "
                f"of {CLASSES} classes, {2 * CLASSES} images are needed"
            )
        size = self.ddpm.class_conditional.image_size
        if 2 * self.process.bands > size:
            raise ValueError(
                f"process.bands is {self.process.bands}: images of {size} pixels have room for {size // 2}"
            )
        return self

    def _check_steps(self, group: str, steps: int, setting: str, sampler: str) -> None:
        levels = self.ddpm[setting].schedule.num_train_timesteps
        if sampler in ("ddpm", "ddim") and levels % steps and steps <= levels:
            raise ValueError(
                f"{group}.num_inference_steps is {steps}: {sampler} needs a divisor of "
                f"ddpm.{setting}.schedule.num_train_timesteps {levels}"
            )
        if steps > (most := self.ddpm[setting].schedule.num_train_timesteps):
            raise ValueError(
                f"{group}.num_inference_steps is {steps}, above ddpm.{setting}.schedule.num_train_timesteps {most}"
            )


def _check_guidance(group: str, scale: float, trained: str, dropout: float, name: str = "condition_dropout") -> None:
    if scale != 1 and dropout == 0:
        raise ValueError(
            f"{group}.guidance_scale is {scale:g}, but {trained}.{name} is 0: the model never learns to do without its "
            "condition, which guidance leads away from; set the scale to 1, or the share above 0"
        )


def _check_rank(group: str, rank: int, width: int) -> None:
    if rank > width:
        raise ValueError(f"{group}.lora.rank is {rank}, above the width {width} of the adapted layers")
