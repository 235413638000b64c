"""Commands that use models: pictures, adapters in other formats, sweeps, captions."""

from pathlib import Path

import click

from difflab.cli.commands.options import BASE, MODEL, NAME, NEGATIVE, PATH, SEED, params_of


@click.command()
@click.option("--prompt", required=True, help="What to show.")
@click.option(
    "--model",
    "models",
    type=NAME,
    multiple=True,
    help=f"{MODEL}, the path of an adapter, or sd3, their base; repeatable.",
)
@BASE
@click.option("--negative-prompt", default="", help=NEGATIVE)
@click.option("--guidance-scale", type=float, help="1: none. Default: the model's, as for the next two.")
@click.option("--num-inference-steps", type=int)
@click.option("--scheduler", type=NAME, help="own, ddpm, ddim, euler, dpm++ or flow-match.")
@SEED
@click.option("--out", type=PATH, default=Path("generated.png"), show_default=True)
def generate(out: Path, models: tuple[str, ...], base: str | None, **options) -> None:
    """Make one picture for a prompt.

    With several adapters, or sd3 and adapters, a sheet: their base, then each of them, from the same noise. An adapter is a
    folder or a file in any format that `difflab export` writes. With --out ending in .safetensors the pictures are tensors.
    """
    from difflab.cli.sampling import Request
    from difflab.cli.side_by_side import generate_by

    for line in generate_by(models or ("zoo",), base, Request(**options), out, params_of()):
        click.echo(line, err=line.startswith("WARNING"))


@click.command()
@click.argument("adapter", type=PATH)
@click.option(
    "--to", "format", type=NAME, required=True, metavar="FORMAT", help="diffusers, peft, kohya, comfyui, onnx."
)
@click.option("--out", type=PATH, help="A folder, or a .safetensors file; default: under exports/.")
@BASE
def export(adapter: Path, format: str, out: Path | None, base: str | None) -> None:
    """Write an adapter, or a token, for another program.

    That is a LoRA adapter, or the embedding of a token. ADAPTER is a folder of models/finetune or models/personal, or a
    file or folder in any of the formats. The folder that is written holds a model card too. docs/export.md says what
    each program reads.
    """
    from difflab.cli.export import export

    click.echo(export(adapter, format, out, base, params_of()))


@click.command()
@click.argument("adapter", required=False, type=PATH)
@click.option("--out", type=PATH, help="A folder that is not there yet; default: under exports/.")
@click.option(
    "--bits", type=click.Choice(["8", "4"]), help="Bits of the denoiser's weights: 8 by torchao, 4 by bitsandbytes."
)
@BASE
def merge(adapter: Path | None, out: Path | None, bits: str | None, base: str | None) -> None:
    """Write a whole pipeline with ADAPTER in its weights.

    diffusers loads it by `from_pretrained`. Without ADAPTER it is the base alone.
    """
    from difflab.cli.merge import merge

    click.echo(merge(adapter, out, base, {"8": 8, "4": 4, None: None}[bits], params_of()))


@click.command()
@click.argument("presets", nargs=-1)
@click.option("--model", "models", type=NAME, multiple=True, help=f"{MODEL}; these options repeat.")
@click.option("--scheduler", "schedulers", type=NAME, multiple=True)
@click.option("--guidance-scale", "guidance_scales", type=float, multiple=True)
@click.option("--num-inference-steps", "num_inference_steps", type=int, multiple=True)
@click.option("--negative-prompt", default="", help=f"{NEGATIVE} Makes each cell without and with it.")
@click.option("--prompt", "prompts", multiple=True, help="Default: the first variations of titles.")
@SEED
@click.option("--out", type=PATH, default=Path("sweep"), show_default=True, help="A folder.")
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


@click.command()
@click.argument("paths", type=NAME, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--model", type=NAME, default="models/captioner/original/seed-0", show_default=True, help="A trained captioner."
)
@click.option("--beam", type=click.IntRange(1, 1024), metavar="N", help="Search with N beams; default: as in training.")
def caption(paths: tuple[str, ...], model: str, beam: int | None) -> None:
    """Print captions of IMAGES: files, or folders of them."""
    from difflab.cli.caption import caption
    from difflab.core.params import load_params

    for file, text in caption(paths, Path(model), beam, load_params().runtime):
        click.echo(f"{file}: {text}")


COMMANDS = (generate, export, merge, sweep, caption)
