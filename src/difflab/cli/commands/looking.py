"""Commands that look into the transformer: attention, adapters, blocks; and the page over them."""

import re
from pathlib import Path
from typing import Any

import click

from difflab.cli.commands.options import NAME, PATH, SEED, params_of


def _patch(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Patches from "ROW,COLUMN"."""
    found = [re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", value) for value in values]
    if None in found:
        raise click.BadParameter(f"'{values[found.index(None)]}' is no patch: write ROW,COLUMN, counted from 0, as 2,1")
    return tuple((int(match[1]), int(match[2])) for match in found if match)


@click.command()
@click.option("--prompt", "prompts", required=True, multiple=True, help="What to show; up to three.")
@click.option(
    "--model",
    "models",
    type=NAME,
    multiple=True,
    help="sd3 (the base, the default), models/finetune/blip2-minus/seed-0 or another adapter; models/ddpm/text/seed-0.",
)
@click.option(
    "--token", "words", type=NAME, multiple=True, help="A word of a prompt; repeatable. Default: every token."
)
@click.option(
    "--patch", "patches", multiple=True, metavar="ROW,COLUMN", callback=_patch, help="Of the picture; as --token."
)
@click.option("--picture", "prompt", type=int, help="Number of the prompt, from 0, that --token and --patch are of.")
@click.option("--affinity", default="attention", show_default=True, help="attention, output, query, key or value.")
@click.option("--across", is_flag=True, help="To the tokens of all pictures of a model, not of its own picture alone.")
@click.option(
    "--block", "blocks", type=int, multiple=True, help="Counted from 0; repeatable. Default: the mean of all."
)
@click.option("--step", "steps", type=int, multiple=True, help="Of sampling, counted from 0; as --block.")
@click.option("--head", "heads", type=int, multiple=True, help="Of attention, counted from 0; as --block.")
@click.option("--clusters", type=int, metavar="N", help="Colour patches by N eigenvectors, in place of heat maps.")
@click.option("--num-inference-steps", type=int, help="Default: generate.num_inference_steps.")
@click.option("--guidance-scale", type=float, help="1: none. Default: generate.guidance_scale.")
@click.option("--size", type=int, help="Pixels; only the size that the base was trained on.")
@SEED
@click.option("--out", type=PATH, default=Path("attention"), show_default=True, help="A folder.")
@click.option("--keep", is_flag=True, help="Keep queries, keys, values and outputs in OUT/capture.")
def attention(out: Path, keep: bool, **options) -> None:
    """Draw where words and patches attend to.

    Makes the picture of each prompt by the study's base or its adapters, and writes it with the heat map of each token
    to OUT/attention.png, the numbers to OUT/attention.safetensors. Of two models from the same noise it shows the
    difference too. With --clusters: OUT/clusters.png, patches that a block treats alike in one colour.
    docs/attention.md says what they mean.
    """
    from difflab.cli.attention import Request, attention

    several = ("blocks", "steps", "heads")
    asked: dict[str, Any] = {name: (value or None) if name in several else value for name, value in options.items()}
    click.echo("\n".join(attention(Request(**asked), out, params_of(), keep)))


@click.command("adapter-report")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=PATH)
@click.option(
    "--captions", type=click.Choice(["blip2", "llama3"]), default="llama3", show_default=True, help="Whose prompts."
)
@click.option("--prompts", type=click.IntRange(min=1), default=4, show_default=True, help="How many are shown.")
@click.option("--out", type=PATH, default=Path("adapters"), show_default=True, help="A folder.")
def adapter_report(folders: tuple[Path, ...], captions: str, prompts: int, out: Path) -> None:
    """Say where LoRA adapters act and how alike they are.

    FOLDER is an adapter, or a cell of models/finetune, which stands for its trainings. Prints by how much each moves each
    block (size of the update as a share of the weights, singular values) and the cosine between each two; writes that by
    layer, a chart of it, and pictures of the same prompts and noise without and with each adapter to --out.
    """
    from difflab.cli.adapter_report import adapter_report

    click.echo(adapter_report(folders, captions, prompts, out, params_of()))


@click.command()
@click.option("--out", type=PATH, default=Path("blocks"), show_default=True, help="A folder.")
def blocks(out: Path) -> None:
    """Print which blocks of the base matter, as it was found.

    From the results of rank_blocks and tune_blocks; writes their figures and numbers to --out. docs/blocks.md says what
    they mean.
    """
    from difflab.cli.blocks import blocks

    click.echo(blocks(out))


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="On 127.0.0.1.")
def app(port: int) -> None:
    """Serve the page in the browser, on this machine alone.

    Teach a base a subject of a few pictures, make pictures by adapters side by side, and look into the transformer.
    """
    from difflab.app.serve import serve

    serve(port, params_of())


COMMANDS = (attention, adapter_report, blocks, app)
