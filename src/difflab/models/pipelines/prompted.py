"""Images for prompts by a text-to-image pipeline of diffusers: Stable Diffusion, SDXL, Stable Diffusion 3.

The pipeline does the work; here its noise is keyed by id, and options that a model cannot take are refused.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json
from difflab.core.base.pretrained import pretrained
from difflab.core.base.roles import resolve, spare_memory
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.store.tensors import check_finite
from difflab.models.language.prompt_tokens import literal
from difflab.models.pointers import fetch
from difflab.models.sampling.latent_images import initial_noise
from difflab.models.sampling.schedulers import pipeline_scheduler, refusal

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.core.params.common import RuntimeParams, VaeBatch
    from difflab.models.params import PipelineParams

TRAINED = Path("models/zoo/diffusion")
INDEX = "model_index.json"
KINDS = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline")
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # they read pictures, and here are prompts alone
_T5_LENGTH = 256  # tokens that the pipeline of Stable Diffusion 3 gives to its T5


def load_pipeline(
    folder: str | Path,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    vae_batch: "VaeBatch" = "whole",
    offload: bool = False,
) -> "DiffusionPipeline":
    """A pipeline of one of `KINDS` from a resolved folder, frozen, in eval mode, without what `UNUSED` names.

    A dtype of None keeps the stored one. With `offload` each component is on a GPU only while it is used.

    Raises:
        DifflabError: the folder holds no pipeline, one of another kind, or one without all of its components.
    """
    import diffusers
    import transformers

    folder = Path(folder)
    if not (folder / INDEX).exists():
        raise DifflabError(f"{folder} holds no pipeline ({INDEX} is missing): name the folder of a whole pipeline")
    index = read_json(folder / INDEX)
    kind = index.get("_class_name")
    if kind not in KINDS:
        raise DifflabError(f"{folder} is a {kind}: {', '.join(KINDS)} can be sampled")
    diffusers.utils.logging.disable_progress_bar()  # of loading; the steps of sampling have their own
    transformers.utils.logging.disable_progress_bar()
    options: dict = {name: None for name in UNUSED if name in index}
    if "safety_checker" in index:
        options["requires_safety_checker"] = False
    absent = [
        n for n, (_, cls, *_) in components(index).items() if cls and n not in options and not (folder / n).is_dir()
    ]
    if absent:
        raise DifflabError(
            f"{folder} lacks {', '.join(absent)} of its {INDEX}: let hub.allow_patterns name {absent[0]}/*"
        )
    pipeline = pretrained(
        getattr(diffusers, kind), folder, dtype=dtype, use_safetensors=True, local_files_only=True, **options
    )
    for name, component in pipeline.components.items():
        if name.startswith("tokenizer") and component is not None:
            literal(component)
        if hasattr(component, "requires_grad_"):
            component.requires_grad_(False).eval()
    spare_memory(pipeline.vae, vae_batch)
    if offload and torch.device(device).type == "cuda":
        pipeline.enable_model_cpu_offload(device=device)
        return pipeline
    return pipeline.to(device)


def components(index: Mapping[str, Any]) -> dict[str, list]:
    """The components that a model_index.json names: [library, class] each, both null where there is none.

    Raises:
        DifflabError: one has no class.
    """
    found = {name: value for name, value in index.items() if isinstance(value, list)}
    if damaged := [name for name, value in found.items() if len(value) < 2]:
        raise DifflabError(f"{INDEX} is damaged ('{damaged[0]}' has no library and class): fetch or make it anew")
    return found


@dataclass(frozen=True)
class Options:
    """How images are sampled."""

    scheduler: str  # one of `schedulers.SCHEDULERS`
    num_inference_steps: int
    guidance_scale: float  # classifier-free guidance (Ho and Salimans 2022); 1 is none
    negative_prompt: str = ""  # what guidance leads away from; empty: what the model has for no prompt

    def refusal(self, distilled: bool) -> str:
        """What no model takes, or no `distilled` one, as one sentence; empty where there is nothing."""
        scale = self.guidance_scale
        if distilled and scale != 1:
            return f"guidance {scale:g}: the model was distilled to do without, take 1"
        if distilled and self.negative_prompt:
            return "a negative prompt: it acts through guidance, which this distilled model does without"
        if scale < 1:
            return f"guidance {scale:g}: the least is 1, which is none"
        if scale == 1 and self.negative_prompt:
            return "a negative prompt at guidance 1: it acts through guidance alone"
        return ""


class PromptedSampler:
    """Images that belong to their ids and prompts, neither to batches nor to the other images.

    Args:
        pipeline: from `load_pipeline`.
        distilled: whether the model was distilled to few steps without guidance, as the turbo models.
        seed: part of every noise key. One id has one noise, whatever the prompt and the options.
        batch_size: images in a forward pass; with guidance the network sees twice as many.
        text_length: tokens that the T5 of Stable Diffusion 3 reads; None is the pipeline's own number.
    """

    def __init__(
        self,
        pipeline: "DiffusionPipeline",
        *,
        distilled: bool,
        seed: int,
        batch_size: int,
        text_length: int | None = None,
    ) -> None:
        self.text_length = text_length
        self.pipeline, self.distilled, self.seed, self.batch_size = pipeline, distilled, seed, batch_size
        self.own = pipeline.scheduler
        pipeline.set_progress_bar_config(disable=True)

    def refusal(self, options: Options) -> str:
        """Why the model cannot take some options, as one sentence; empty where it can."""
        return options.refusal(self.distilled) or refusal(options.scheduler, self.own, options.num_inference_steps)

    def images(
        self, ids: Sequence[str], prompts: Sequence[str], options: Options, progress: bool = False
    ) -> Iterator[np.ndarray]:
        """Batches uint8 [<= batch_size, H, W, 3] in the order of `ids`.

        An image depends on its id, its prompt and the options; on the batch by rounding only. On a CPU the same
        call gives the same bits. `progress` shows a bar over the steps of each batch.

        Raises:
            DifflabError: the model cannot take the options, or its images are not finite.
        """
        if reason := self.refusal(options):
            raise DifflabError(f"the model refuses {reason}")
        if progress:
            self.pipeline.set_progress_bar_config(disable=False, leave=False)
        for start in range(0, len(ids), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield self._batch(ids[part], list(prompts[part]), options)

    @torch.no_grad()
    def _batch(self, ids: Sequence[str], prompts: list[str], options: Options) -> np.ndarray:
        network = getattr(self.pipeline, "unet", None) or self.pipeline.transformer
        side = network.config.sample_size
        noise = initial_noise(ids, (network.config.in_channels, side, side), self.seed, 0)
        keys = rng.fold(rng.id_keys(ids), rng.key(self.seed, "step noise")).tolist()
        # Without one the pipeline takes what its model was trained on: SDXL zeros, the others the empty prompt.
        negative = [options.negative_prompt] * len(ids) if options.negative_prompt else None
        length = {} if self.text_length is None else {"max_sequence_length": self.text_length}
        self.pipeline.scheduler = pipeline_scheduler(options.scheduler, self.own)
        try:
            images = self.pipeline(
                prompts,
                num_inference_steps=options.num_inference_steps,
                guidance_scale=options.guidance_scale,
                latents=noise.to(self.pipeline._execution_device, network.dtype),
                generator=[torch.Generator().manual_seed(key) for key in keys],
                negative_prompt=negative,
                output_type="np",
                callback_on_step_end=_checked_step(ids, options.num_inference_steps),
                **length,
            ).images
        finally:
            self.pipeline.scheduler = self.own
        check_finite(torch.from_numpy(images), ids, "the picture")
        return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)

    def truncation(self, prompt: str) -> str:
        """What of a prompt the encoder that reads most does not read, as one line; empty where all of it is read."""
        lost = []
        for number in ("", "_2", "_3"):
            tokenizer = getattr(self.pipeline, f"tokenizer{number}", None)
            if tokenizer is None or getattr(self.pipeline, f"text_encoder{number}", None) is None:
                continue
            limit = (self.text_length or _T5_LENGTH) if number == "_3" else tokenizer.model_max_length
            tokens = tokenizer(prompt, truncation=False)["input_ids"]
            if len(tokens) <= limit:
                return ""
            text = tokenizer.decode(tokens[limit - 1 : -1]).strip()
            lost.append((text, f"{len(tokens)} tokens, of which the model reads {limit}: '{text}' is truncated"))
        return min(lost, key=lambda loss: len(loss[0]))[1]


def _checked_step(ids: Sequence[str], steps: int) -> Callable[..., dict[str, torch.Tensor]]:
    """A pipeline's callback that refuses latents which are not finite; it names the id and the step."""

    def check(pipeline: object, number: int, timestep: object, values: dict[str, torch.Tensor]) -> dict:
        check_finite(values["latents"], ids, f"step {number + 1} of {steps}: the latent")
        return {}

    return check


def find(known: "dict[str, PipelineParams]", name: str) -> str:
    """The short name of a model that is given by it or by its repository."""
    short = {name: name for name in known} | {m.hub.repo_id: n for n, m in known.items() if m.hub is not None}
    if name not in short:
        raise DifflabError(
            f"unknown model '{name}': one of {', '.join(known)} (src/difflab/models/known/pipelines.yaml says more)"
        )
    return short[name]


def load_prompted(
    model: "PipelineParams",
    runtime: "RuntimeParams",
    *,
    seed: int,
    batch_size: int,
    vae_batch: "VaeBatch" = "whole",
    offload: bool = False,
) -> PromptedSampler:
    """The sampler of a model, which is downloaded where it has to be."""
    folder = resolve(TRAINED) if model.hub is None else fetch(model.hub)
    device, dtype = resolve_device(runtime.device), resolve_dtype(runtime.dtype)
    pipeline = load_pipeline(folder, device, dtype, vae_batch, offload)
    return PromptedSampler(pipeline, distilled=model.distilled, seed=seed, batch_size=batch_size)
