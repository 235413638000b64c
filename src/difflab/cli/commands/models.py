"""Commands that use models: pictures, adapters in other formats, attention, sweeps, captions."""

from pathlib import Path
from typing import Any

import click

from difflab.cli.commands.options import BASE, MODEL, NEGATIVE, SEED, params_of


@click.command()
@click.option("--prompt", required=True, help="What to show.")
@click.option("--model", "models", multiple=True, help=f"{MODEL}, or the path of an adapter; adapters repeat.")
@BASE
@click.option("--negative-prompt", default="", help=NEGATIVE)
@click.option("--guidance-scale", type=float, help="1: none. Default: the model's, as for the next two.")
@click.option("--num-inference-steps", type=int)
@click.option("--scheduler", help="own, ddpm, ddim, euler, dpm++ or flow-match.")
@SEED
@click.option("--out", type=click.Path(path_type=Path), default=Path("generated.png"), show_default=True)
def generate(out: Path, models: tuple[str, ...], base: str | None, **options) -> None:
    """Make one picture for a prompt.

    With several adapters a sheet: their base, then each of them, from the same noise. An adapter is a folder or a file
    in any format that `difflab export` writes.
    """
    from difflab.cli.sampling import Request
    from difflab.cli.side_by_side import generate_by

    for line in generate_by(models or ("zoo",), base, Request(**options), out, params_of()):
        click.echo(line, err=line.startswith("WARNING"))


@click.command()
@click.argument("adapter", type=click.Path(path_type=Path))
@click.option("--to", "format", required=True, metavar="FORMAT", help="diffusers, peft, kohya or comfyui.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder, or a .safetensors file; default: under exports/."
)
@BASE
def export(adapter: Path, format: str, out: Path | None, base: str | None) -> None:
    """Write a LoRA adapter for another program.

    ADAPTER is a folder of models/finetune, or a file or folder in any of the formats. The folder that is written holds
    a model card too. docs/export.md says what each program reads.
    """
    from difflab.cli.export import export

    click.echo(export(adapter, format, out, base, params_of()))


@click.command()
@click.argument("adapter", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="A folder that is not there yet; default: under exports/.")
@click.option("--bits", type=click.Choice(["8", "4"]), help="Bits of the denoiser's weights: 8 by torchao, 4 on a GPU.")
@BASE
def merge(adapter: Path | None, out: Path | None, bits: str | None, base: str | None) -> None:
    """Write a whole pipeline with ADAPTER in its weights.

    diffusers loads it by `from_pretrained`. Without ADAPTER it is the base alone.
    """
    from difflab.cli.merge import merge

    click.echo(merge(adapter, out, base, {"8": 8, "4": 4, None: None}[bits], params_of()))


@click.command()
@click.option("--prompt", required=True, help="What to show.")
@click.option("--token", "words", multiple=True, help="A word of the prompt; repeatable. Default: every token of it.")
@click.option("--affinity", default="attention", show_default=True, help="attention, output, query, key or value.")
@click.option(
    "--block", "blocks", type=int, multiple=True, help="Counted from 0; repeatable. Default: the mean of all."
)
@click.option("--step", "steps", type=int, multiple=True, help="Of sampling, counted from 0; as --block.")
@click.option("--head", "heads", type=int, multiple=True, help="Of attention, counted from 0; as --block.")
@click.option(
    "--adapter", type=click.Path(path_type=Path), help="Folder: models/finetune/blip2-minus/seed-0. Default: none."
)
@click.option("--num-inference-steps", type=int, help="Default: generate.num_inference_steps.")
@click.option("--guidance-scale", type=float, help="1: none. Default: generate.guidance_scale.")
@click.option("--size", type=int, help="Pixels; only the size that the base was trained on.")
@SEED
@click.option("--out", type=click.Path(path_type=Path), default=Path("attention"), show_default=True, help="A folder.")
@click.option("--keep", is_flag=True, help="Keep queries, keys, values and outputs in OUT/capture.")
def attention(out: Path, keep: bool, **options) -> None:
    """Draw where the words of a prompt attend to.

    Makes the picture of the prompt by the study's base or one of its adapters, and writes it with the heat map of each
    token to OUT/attention.png, the numbers to OUT/attention.safetensors. docs/attention.md says what they mean.
    """
    from difflab.cli.attention import Request, attention

    several = ("blocks", "steps", "heads")
    asked: dict[str, Any] = {name: (value or None) if name in several else value for name, value in options.items()}
    click.echo("\n".join(attention(Request(**asked), out, params_of(), keep)))


@click.command()
@click.argument("presets", nargs=-1)
@click.option("--model", "models", multiple=True, help=f"{MODEL}; these options repeat.")
@click.option("--scheduler", "schedulers", multiple=True)
@click.option("--guidance-scale", "guidance_scales", type=float, multiple=True)
@click.option("--num-inference-steps", "num_inference_steps", type=int, multiple=True)
@click.option("--negative-prompt", default="", help=f"{NEGATIVE} Makes each cell without and with it.")
@click.option("--prompt", "prompts", multiple=True, help="Default: the first variations of titles.")
@SEED
@click.option("--out", type=click.Path(path_type=Path), default=Path("sweep"), show_default=True, help="A folder.")
def sweep(
    presets: tuple[str, ...], prompts: tuple[str, ...], negative_prompt: str, seed: int, out: Path, **axes
) -> None:
    """Make pictures under many options from the same noise.

    PRESETS are names in sweep.presets (conf/study/sweep.yaml); the options take the place of their axes. Prints a table
    with seconds per image; writes it and one grid of pictures to --out.
    """
    from difflab.cli.sampling import asked, chosen, sweep

    params = params_of()
    settings = chosen(params.sweep, presets, axes, negative_prompt)
    click.echo(sweep(settings, asked(prompts, settings.num_images), params.runtime, seed, out))


@click.command("adapter-report")
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(path_type=Path))
@click.option(
    "--captions", type=click.Choice(["blip2", "llama3"]), default="llama3", show_default=True, help="Whose prompts."
)
@click.option("--prompts", type=click.IntRange(min=1), default=4, show_default=True, help="How many are shown.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("adapters"), show_default=True, help="A folder.")
def adapter_report(folders: tuple[Path, ...], captions: str, prompts: int, out: Path) -> None:
    """Say where LoRA adapters act and how alike they are.

    FOLDER is an adapter, or a cell of models/finetune, which stands for its trainings. Prints by how much each moves each
    block (size of the update as a share of the weights, singular values) and the cosine between each two; writes that by
    layer, its chart, and pictures of the same prompts and noise without and with each adapter to --out.
    """
    from difflab.cli.adapter_report import adapter_report

    click.echo(adapter_report(folders, captions, prompts, out, params_of()))


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", default="models/captioner/original/seed-0", show_default=True, help="A trained captioner.")
@click.option("--beam", type=click.IntRange(min=1), metavar="N", help="Search with N beams; default: as in training.")
def caption(paths: tuple[str, ...], model: str, beam: int | None) -> None:
    """Print captions of IMAGES: files, or folders of them."""
    from difflab.cli.caption import caption
    from difflab.core.params import load_params

    for file, text in caption(paths, Path(model), beam, load_params().runtime):
        click.echo(f"{file}: {text}")


COMMANDS = (generate, export, merge, attention, sweep, adapter_report, caption)
