"""Images for prompts by a text-to-image pipeline of diffusers: Stable Diffusion, SDXL, Stable Diffusion 3.

The pipeline does the work; here its noise is keyed by id, and options that a model cannot take are refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError
from difflab.models.noise import initial_noise
from difflab.models.pipelines.schedulers import pipeline_scheduler, refusal

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline
    from transformers import PreTrainedTokenizerBase

_T5_LENGTH = 256  # tokens that the pipeline of Stable Diffusion 3 gives to its T5


@dataclass(frozen=True)
class Options:
    """How images are sampled.

    Attributes:
        scheduler: one of `schedulers.SCHEDULERS`.
        guidance_scale: classifier-free guidance (Ho and Salimans 2022); 1 is none.
        negative_prompt: what guidance leads away from; empty: what the model has for no prompt.
    """

    scheduler: str
    num_inference_steps: int
    guidance_scale: float
    negative_prompt: str = ""

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


@dataclass(frozen=True)
class Cut:
    """The end of a prompt that no text encoder reads.

    Attributes:
        tokens: tokens of the whole prompt, start and end included.
        limit: tokens that are read.
        text: what is cut, as its tokens decode.
    """

    tokens: int
    limit: int
    text: str

    def __str__(self) -> str:
        return f"{self.tokens} tokens, of which the model reads {self.limit}: '{self.text}' is cut"


class PromptedSampler:
    """Images that belong to their ids and prompts, neither to batches nor to the other images.

    Args:
        pipeline: from `difflab.models.pipelines.pipelines.load_pipeline`.
        distilled: whether the model was distilled to few steps without guidance, as the turbo models.
        seed: part of every noise key. One id has one noise, whatever the prompt and the options.
        batch_size: images in a forward pass; with guidance the network sees twice as many.
    """

    def __init__(self, pipeline: "DiffusionPipeline", *, distilled: bool, seed: int, batch_size: int) -> None:
        self.pipeline, self.distilled, self.seed, self.batch_size = pipeline, distilled, seed, batch_size
        self.own = pipeline.scheduler
        pipeline.set_progress_bar_config(disable=True)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the noise of one image."""
        config = self._network.config
        return config.in_channels, config.sample_size, config.sample_size

    @property
    def _network(self) -> torch.nn.Module:
        return getattr(self.pipeline, "unet", None) or self.pipeline.transformer

    def refusal(self, options: Options) -> str:
        """Why the model cannot take some options, as one sentence; empty where it can.

        Raises:
            DifflabError: there is no such scheduler.
        """
        unfit = options.refusal(self.distilled)
        return unfit or refusal(options.scheduler, self.own, options.num_inference_steps)

    def images(
        self, ids: Sequence[str], prompts: Sequence[str], options: Options, progress: bool = False
    ) -> Iterator[np.ndarray]:
        """Batches uint8 [<= batch_size, H, W, 3] in the order of `ids`.

        An image depends on its id, its prompt and the options; on the batch by rounding only. On a CPU the same
        call gives the same bits.

        Args:
            progress: show a bar over the steps of each batch.

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
        noise = initial_noise(ids, self.latent_shape, self.seed, 0)
        keys = rng.fold(rng.id_keys(ids), rng.key(self.seed, "step noise")).tolist()
        # Without one the pipeline takes what its model was trained on: SDXL zeros, the others the empty prompt.
        negative = [options.negative_prompt] * len(ids) if options.negative_prompt else None
        self.pipeline.scheduler = pipeline_scheduler(options.scheduler, self.own)
        try:
            images = self.pipeline(
                prompts,
                num_inference_steps=options.num_inference_steps,
                guidance_scale=options.guidance_scale,
                latents=noise.to(self.pipeline.device, self._network.dtype),
                generator=[torch.Generator().manual_seed(key) for key in keys],
                negative_prompt=negative,
                output_type="np",
            ).images
        finally:
            self.pipeline.scheduler = self.own
        if not np.isfinite(images).all():
            raise DifflabError("the model's images are not finite: set runtime.dtype to float32 or bfloat16")
        return np.rint(images * 255).astype(np.uint8)

    def cut(self, prompt: str) -> Cut | None:
        """What of a prompt is too long for the encoder that reads most; None where all of it is read."""
        cuts = [self._cut(prompt, tokenizer, limit) for tokenizer, limit in self._readers()]
        found = [cut for cut in cuts if cut is not None]
        return min(found, key=lambda cut: len(cut.text)) if len(found) == len(cuts) else None

    def _readers(self) -> "Iterator[tuple[PreTrainedTokenizerBase, int]]":
        """Each tokenizer of the pipeline and the number of tokens that its encoder is given."""
        for number in ("", "_2", "_3"):
            tokenizer = getattr(self.pipeline, f"tokenizer{number}", None)
            if tokenizer is not None and getattr(self.pipeline, f"text_encoder{number}", None) is not None:
                yield tokenizer, _T5_LENGTH if number == "_3" else tokenizer.model_max_length

    @staticmethod
    def _cut(prompt: str, tokenizer: "PreTrainedTokenizerBase", limit: int) -> Cut | None:
        tokens = tokenizer(prompt, truncation=False)["input_ids"]
        if len(tokens) <= limit:
            return None
        return Cut(len(tokens), limit, tokenizer.decode(tokens[limit - 1 : -1]).strip())
