"""The command line that repeats what a tab shows, byte for byte."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from difflab.cli.attention import Request as AttentionRequest
    from difflab.cli.sampling import Request as GenerateRequest


def generate_command(request: "GenerateRequest", models: Sequence[str], out: str = "generated.png") -> str:
    """`difflab generate` for the pictures of some models, "sd3" (the base) among them or not."""
    options = {
        "negative-prompt": request.negative_prompt or None,
        "guidance-scale": request.guidance_scale,
        "num-inference-steps": request.num_inference_steps,
        "seed": request.seed,
    }
    return _line(
        "generate", [("prompt", request.prompt), *(("model", m) for m in models), *options.items(), ("out", out)]
    )


def attention_command(request: "AttentionRequest", out: str = "attention") -> str:
    """`difflab attention` for what the tab Attention shows, or the tab Clusters."""
    several: dict[str, Sequence[object]] = {"prompt": request.prompts, "model": request.models}
    if request.clusters is None:
        patches = tuple(f"{row},{column}" for row, column in request.patches)
        several |= {"token": request.words, "patch": patches, "head": request.heads or ()}
    several |= {"block": request.blocks or (), "step": request.steps or ()}
    options: dict[str, object] = {
        "num-inference-steps": request.num_inference_steps,
        "guidance-scale": request.guidance_scale,
        "seed": request.seed,
    }
    if request.clusters is None:
        options |= {"picture": request.prompt, "affinity": request.affinity}
    else:
        options["clusters"] = request.clusters
    asked = [(name, value) for name, values in several.items() for value in values]
    across = ["--across"] if request.across and request.clusters is None else []
    return _line("attention", [*asked, *options.items(), ("out", out)], across)


def drift_command(folders: "Sequence[Path]", out: str = "adapters") -> str:
    """`difflab adapter-report` for the chart of the tab Blocks."""
    return _line("adapter-report", [("out", out)], [str(folder) for folder in folders])


def ranking_command(out: str = "blocks") -> str:
    """`difflab blocks` for the figures of the tab Blocks."""
    return _line("blocks", [("out", out)])


def _line(command: str, options: Sequence[tuple[str, object]], more: Sequence[str] = ()) -> str:
    """A line for a shell; options that are None are left out. `--name=value` keeps values that begin with a dash."""
    words = [_word(name, value) for name, value in options if value is not None]
    return shlex.join(["difflab", command, *more, *(word for pair in words for word in pair)])


def _word(name: str, value: object) -> tuple[str, ...]:
    text = repr(value) if isinstance(value, float) else str(value)
    return (f"--{name}={text}",) if text.startswith("-") else (f"--{name}", text)
