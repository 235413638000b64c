"""The model card of an exported adapter or embedding: a README.md whose header the Hub reads."""

from collections import Counter
from typing import TYPE_CHECKING

from difflab.models.adapters.updates import COMPONENTS, Updates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from difflab.models.adapters.embeddings import Embedding
    from difflab.models.adapters.header import Description

_PIPELINES = {"transformer": "StableDiffusion3Pipeline", "unet": "StableDiffusionPipeline"}
_USE = {
    "diffusers": """```python
from diffusers import {pipeline}

pipeline = {pipeline}.from_pretrained("{base}")
pipeline.load_lora_weights("PATH/TO/THIS/FOLDER")
image = pipeline({prompt}{call}).images[0]
```""",
    "peft": """```python
from diffusers import {pipeline}
from peft import PeftModel

pipeline = {pipeline}.from_pretrained("{base}")
{lines}
image = pipeline({prompt}{call}).images[0]
```""",
    "kohya": "Copy `{file}` to where sd-scripts, ComfyUI (`models/loras`) or another program looks for LoRA files.",
    "comfyui": "Copy `{file}` to `models/loras` of ComfyUI, then choose it in a node *Load LoRA*.",
}


_EMBEDDING_USE = {
    "diffusers": """```python
from diffusers import StableDiffusionPipeline

pipeline = StableDiffusionPipeline.from_pretrained("{base}")
pipeline.load_textual_inversion("PATH/TO/THIS/FOLDER")
image = pipeline({prompt}).images[0]
```""",
    "comfyui": "Copy `{file}` to `models/embeddings` of ComfyUI, then write `embedding:{stem}` into a prompt.",
    "kohya": "Copy `{file}` to `embeddings` of AUTOMATIC1111's web UI, then write `{stem}` into a prompt.",
}


def model_card(format: str, updates: Updates, described: "Description", file: str) -> str:
    """The card: base, use, prompts, how it was trained, what was measured, the licence of the base.

    Args:
        file: the name of the file of tensors.
    """
    components = [c for c in COMPONENTS if any(name.startswith(f"{c}.") for name in updates)]
    what = f"A LoRA adapter of **{described.base}** ({', '.join(components)})"
    return _card(described, "lora", what, _use(format, components, described, file), _shape(updates))


def embedding_card(format: str, embedding: "Embedding", described: "Description", file: str) -> str:
    """The same card for the embedding of a token."""
    count, width = embedding.vectors.shape
    prompt = repr(f"a photo of {embedding.token}")
    stem = file.removesuffix(".safetensors")
    use = _EMBEDDING_USE[format].format(base=described.loads_from, prompt=prompt, file=file, stem=stem)
    what = f"The token `{embedding.token}` for **{described.base}**, learned by textual inversion"
    return _card(
        described, "textual_inversion", what, use, {"token": embedding.token, "vectors": f"{count} of {width}"}
    )


def _card(described: "Description", tag: str, what: str, use: str, shape: "Mapping[str, object]") -> str:
    text = [_header(described, tag), f"# {described.title}", "", f"{what}, trained by difflab.", ""]
    text += ["## Use", "", use, ""]
    if described.prompts:
        text += ["Prompts that it was trained for:", "", *(f"- {prompt}" for prompt in described.prompts), ""]
    text += ["## Training", "", _table(dict(shape) | dict(described.settings)), ""]
    scores = {name: f"{value:.4g}" for name, value in described.scores.items()}
    measured = ["On held-out prompts, means over the trainings of this kind.", "", _table(scores)]
    text += ["## Scores", "", *(measured if scores else ["None were measured."]), ""]
    text += ["## Licence", "", f"The base is under {described.licence}, which also binds what is made from it.", ""]
    return "\n".join(text)


def _header(described: "Description", tag: str) -> str:
    name = described.licence.lower().replace(" ", "-")
    licence = ["license: mit"] if name.startswith("mit") else ["license: other", f"license_name: {name}"]
    base = [f"base_model: {described.base}"] if described.base == described.loads_from else []
    return "\n".join(["---", *base, "library_name: diffusers", *licence, f"tags: [{tag}, text-to-image]", "---", ""])


def _use(format: str, components: list[str], described: "Description", file: str) -> str:
    pipeline = _PIPELINES["transformer" if "transformer" in components else "unet"]
    lines = "\n".join(
        f'pipeline.{c} = PeftModel.from_pretrained(pipeline.{c}, "PATH/TO/THIS/FOLDER/{c}")' for c in components
    )
    prompt = repr(described.prompts[0] if described.prompts else "a prompt")
    call = f", {described.call}" if described.call else ""
    return _USE[format].format(
        pipeline=pipeline, base=described.loads_from, lines=lines, prompt=prompt, call=call, file=file
    )  # fmt: skip


def _shape(updates: Updates) -> dict[str, object]:
    ranks, alphas = (
        Counter(values) for values in zip(*((u.rank, f"{u.alpha:g}") for u in updates.values()), strict=True)
    )
    return {
        "adapted layers": len(updates),
        "rank": ", ".join(map(str, sorted(ranks))),
        "alpha": ", ".join(sorted(alphas)),
        "parameters": f"{sum(u.down.numel() + u.up.numel() for u in updates.values()):,}",
    }


def _table(values: "Mapping[str, object]") -> str:
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in values.items()]
    return "\n".join(["| | |", "|---|---|", *rows])
