"""Pictures of prompts with all that the transformer attended to while it made them, under the base and its adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.attention.affinity import free_memory
from difflab.attention.capture import PARTS, attention_layers, check_numbers
from difflab.attention.layout import CLIP, T5, Layout, layout
from difflab.attention.records import Records, StoredRecords, recorded, streamed
from difflab.attention.views import Made
from difflab.cli.adapters import adapted, fitted
from difflab.cli.bases import STUDY, check_text
from difflab.cli.sampling import MOST_GUIDANCE, PROMPT_ID
from difflab.cli.side_by_side import BASE
from difflab.core.base.errors import DifflabError
from difflab.models.adapters.reading import read_adapter
from difflab.models.pipelines.prompted import Options, PromptedSampler
from difflab.models.sampling.schedulers import NUM_TRAIN_TIMESTEPS

if TYPE_CHECKING:
    from diffusers import StableDiffusion3Pipeline

    from difflab.cli.adapters import OnBase
    from difflab.cli.bases import Base

MOST_PROMPTS = 3
_BYTES = 2  # of a float16, in which tensors are kept


@dataclass(frozen=True)
class Sampling:
    """What is made: the picture of each prompt by each model, all from the same noise.

    Attributes:
        models: "sd3", the base of the study, or paths of its adapters.
    """

    prompts: tuple[str, ...]
    models: tuple[str, ...] = (STUDY,)
    num_inference_steps: int = 28
    guidance_scale: float = 7.0
    seed: int = 0


def check_sampling(sampling: Sampling, blocks: Sequence[int] | None = None, steps: Sequence[int] | None = None) -> None:
    """Refuse, as a DifflabError, a sampling that cannot be, and steps that it does not have."""
    count, scale = sampling.num_inference_steps, sampling.guidance_scale
    if not 1 <= len(sampling.prompts) <= MOST_PROMPTS:
        raise DifflabError(f"{len(sampling.prompts)} prompts: attention is shown of one to {MOST_PROMPTS}")
    if not 1 <= count <= NUM_TRAIN_TIMESTEPS:
        raise DifflabError(f"{count} sampling steps: the base knows 1 to {NUM_TRAIN_TIMESTEPS} levels of noise")
    if not 1 <= scale <= MOST_GUIDANCE:
        raise DifflabError(f"{scale:g} is not a valid guidance scale: take 1 (none) to {MOST_GUIDANCE}")
    check_numbers("step", steps or (), count, "this sampling")


def layouts(prompts: Sequence[str], base: "Base", pipeline: "StableDiffusion3Pipeline") -> list[Layout]:
    """The tokens of each prompt, as long as in training.

    Raises:
        DifflabError: a prompt is empty, or the lengths are not those that the study was trained with.
    """
    tokenizers = {
        CLIP: (pipeline.tokenizer, pipeline.tokenizer_max_length),
        T5: (pipeline.tokenizer_3, int(base.text_length or 0)),
    }
    check_text(base, pipeline)
    config = pipeline.transformer.config
    side = config.sample_size // config.patch_size
    return [layout(prompt, (side, side), tokenizers) for prompt in prompts]


def adapters_of(
    models: Sequence[str], base: "Base", pipeline: "StableDiffusion3Pipeline"
) -> "dict[str, OnBase | None]":
    """The models by their names, the base as None.

    Raises:
        DifflabError: one is no adapter of this base, or is named twice.
    """
    found: dict[str, OnBase | None] = {}
    for model in models:
        one = None if model == STUDY else _opened(Path(model), base, pipeline)
        if (name := BASE if one is None else one.name) in found:
            raise DifflabError(f"two models are called {name}: name each once")
        found[name] = one
    return found


def _opened(path: Path, base: "Base", pipeline: "StableDiffusion3Pipeline") -> "OnBase":
    file = read_adapter(path)
    if file.denoiser != "transformer":
        raise DifflabError(f"{path} is an adapter of a U-Net, not of Stable Diffusion 3: name one of models/finetune")
    return fitted([file], base, pipeline, "fine-tune it on this base")[0]


def capture(
    sampling: Sampling,
    base: "Base",
    pipeline: "StableDiffusion3Pipeline",
    *,
    blocks: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    folder: Path | None = None,
    progress: bool = False,
) -> list[Made]:
    """Make the pictures, each alone, and keep what attention computed: the bytes are those of `difflab generate`.

    Args:
        blocks, steps: of which it is kept; None: all.
        folder: where it is streamed to, `<model>-<prompt>` below it; None: into memory.
        progress: show a bar over the steps of each picture.

    Raises:
        DifflabError: what cannot be, see `check_sampling`, `layouts`, `adapters_of`, or it does not fit into memory.
    """
    check_sampling(sampling, blocks, steps)
    placed, models = layouts(sampling.prompts, base, pipeline), adapters_of(sampling.models, base, pipeline)
    layers = len(attention_layers(pipeline.transformer, blocks))
    if folder is None:
        count = sampling.num_inference_steps if steps is None else len(steps)
        check_memory(pipeline.transformer, layers * count, placed[0].count, len(placed) * len(models))
    sampler = PromptedSampler(
        pipeline, distilled=False, seed=sampling.seed, batch_size=1, text_length=base.text_length
    )  # fmt: skip
    options = Options("own", sampling.num_inference_steps, sampling.guidance_scale)
    kept = {"blocks": blocks, "steps": steps, "rows": slice(1, None) if sampling.guidance_scale > 1 else slice(None)}
    made = []
    for name, adapter in models.items():
        with adapted(pipeline, adapter):
            for number, place in enumerate(placed):
                if folder is None:
                    with recorded(pipeline.transformer, **kept) as records:
                        (batch,) = sampler.images([PROMPT_ID], [place.prompt], options, progress)
                else:
                    own = folder / f"{name}-{number}"
                    facts = {"prompt": place.prompt, "model": name}
                    with streamed(pipeline.transformer, own, facts, **kept):
                        (batch,) = sampler.images([PROMPT_ID], [place.prompt], options, progress)
                    records: Records = StoredRecords(own)
                made.append(Made(name, number, batch[0], place, records))
    return made


def check_memory(transformer, layers: int, tokens: int, pictures: int, free: int | None = None) -> None:
    """Refuse, as a DifflabError, a capture in memory that needs more than is free (bytes; None: measured).

    Args:
        layers: layers times steps.
    """
    width = transformer.config.num_attention_heads * transformer.config.attention_head_dim
    each, free = _BYTES * len(PARTS) * tokens * width, free_memory() if free is None else free
    if (needed := each * layers * pictures) > free:
        raise DifflabError(
            f"all that {pictures} pictures of {tokens:,} tokens attend to in {layers} layers and steps needs "
            f"{needed / 1e9:.2g} GB, {free / 1e9:.2g} GB are free: {free // (each * pictures)} layers and steps would fit; "
            "keep only the block and the step that are shown, or take fewer pictures"
        )
