"""The command line, `difflab`. Commands import what they need, so that --help is immediate."""

import gc
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from difflab.core.base import numerics
from difflab.core.base.errors import DifflabError, one_line, suggestion
from difflab.core.base.runtime import print_everything

if TYPE_CHECKING:
    from difflab.study import Params

SEED = click.option(
    "--seed", type=click.IntRange(min=0, max=2**63 - 1), default=0, show_default=True, help="Random seed of the noise."
)
NEGATIVE = "Text to steer away from."
MODEL = "Name in sweep.known (conf/study/sweep.yaml), or the repository of one of them"
BASE = click.option(
    "--base",
    help="What an adapter was trained on: sd3 (the study's), a name or repository as for a model, or a folder.",
)
CHECK = click.option("--check", is_flag=True, help="Write nothing; fail if the file is out of date.")
SET = "As in `dvc exp run -S`, repeatable: profile=paper, experiment=faces, finetune.lora.rank=8."
overrides_option = click.option("-S", "--set-param", "overrides", multiple=True, metavar="KEY=VALUE", help=SET)


class Commands(click.Group):
    """A group that lists its commands in the order of this file and suggests a near name for a wrong one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            known = self.list_commands(ctx)
            near = suggestion(args[0], known) or f"; there are {', '.join(known)}"
            raise click.UsageError(f"there is no command '{args[0]}'{near}", ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Diffusion studies as one reproducible DVC pipeline.

    Stages run with `difflab repro`, `dvc repro` or `dvc exp run -S key=value`; the other commands help before and
    after. Run them in the root of the repository.
    """
    missing = [name for name in ("dvc.yaml", "conf") if not Path(name).exists()]
    if missing and not {"-h", "--help"} & set(sys.argv):
        raise DifflabError(f"there is no {missing[0]} here: run this in the root of the repository")


@cli.command()
@overrides_option
def plan(overrides: tuple[str, ...]) -> None:
    """Say what a run would do and need, without running it.

    That is stages, models, data, accounts, disk and minutes; of released models hours, money and memory by stage, beside
    what the last run here took. The run is that of params.yaml, with -S that of
    `dvc exp run -S ...`.
    """
    from difflab.cli import compose
    from difflab.cli.plan import plan, runs
    from difflab.core.params.loading import parse_yaml, read_values

    params = _params(overrides)
    click.echo(plan(params))
    values = parse_yaml(compose.compose(overrides), "the composed parameters") if overrides else read_values()
    click.echo(runs(values, estimated=params.zoo.transformer.hub is None))


@cli.command()
@overrides_option
@click.option("--hub", is_flag=True, help="Ask the Hub for the first byte of every file of every model.")
def doctor(overrides: tuple[str, ...], hub: bool) -> None:
    """Say what this machine has, and what a run lacks on it.

    Fails if anything is missing. The run is that of params.yaml, with -S that of `dvc exp run -S ...`.
    """
    from difflab.cli.doctor import examine
    from difflab.cli.hub_check import hub_check
    from difflab.cli.plan import hub_models

    params = _params(overrides)
    findings = examine(params)
    if hub:
        findings += hub_check(list(hub_models(params)))
    click.echo("\n".join(map(str, findings)))
    if missing := sum(bool(finding.remedy) for finding in findings):
        raise DifflabError(f"{missing} items are missing: follow the MISSING lines above, then run again")


def _complete_stage(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Stages and their cells, for the shell."""
    from difflab.core.params.loading import addresses

    return [name for name in addresses() if name.startswith(incomplete)]


@cli.command()
@click.argument("targets", nargs=-1, shell_complete=_complete_stage)
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Stages at once; default: processors / num_threads.")
def repro(targets: tuple[str, ...], jobs: int | None) -> None:
    """Run what is out of date, as `dvc repro`, in parallel.

    TARGETS are stages or their cells (`finetune@blip2-minus`), with all that they need; none: every stage.
    """
    from difflab.cli import repro, resident
    from difflab.core.base import runtime
    from difflab.core.params import load_params

    started = time.perf_counter()
    resident.prepare(load_params().runtime.num_threads)  # a value that cannot be is refused before DVC removes a result
    try:
        outcomes = repro.repro(targets, jobs)
    except KeyboardInterrupt:
        click.echo("stopped: run the same command to go on", err=True)
        runtime.exit_status = 130
        sys.exit(130)
    click.echo(repro.summary(outcomes, time.perf_counter() - started))
    runtime.exit_status = int(any(outcome != repro.DONE for outcome in outcomes.values()))
    if runtime.exit_status:
        raise DifflabError("some stages failed: their messages stand above; the others' results are kept")


@cli.command()
@overrides_option
@click.option(
    "--images",
    type=int,
    help="Pictures of each set of faces and captions; others have a few times as many. Default: 8, with --full 64.",
)
@click.option("--steps", type=click.IntRange(min=1), default=2, show_default=True, help="Of training and of sampling.")
@click.option("--size", type=int, help="Side of faces in pixels. Default: 256, with --full 1024.")
@click.option("--width", type=int, default=128, show_default=True, help="Channels of every network, a multiple of 64.")
@click.option(
    "--full", is_flag=True, help="Networks and batches of full size, with random weights. Needs an NVIDIA GPU."
)
@click.option("--folder", type=click.Path(path_type=Path), help="Where. Default: beside the repository.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Stages at once, as of `difflab repro`.")
def rehearse(
    overrides: tuple[str, ...],
    images: int | None,
    steps: int,
    size: int | None,
    width: int,
    full: bool,
    folder: Path | None,
    jobs: int | None,
) -> None:
    """Run a whole profile in minutes, on stand-ins.

    Every stage of the profile runs offline, from the archives to the report, in a copy of the repository in a folder of its
    own: with stand-ins of the released models (their configurations, random weights), with archives in the official
    formats, with few pictures and steps. The same command goes on where it was stopped, or after a repair.

    \b
    difflab rehearse -S profile=paper
    difflab rehearse -S profile=paper -S hardware=24gb --full
    """
    from difflab.cli.rehearse import rehearse
    from difflab.cli.repro import visible_gpus
    from difflab.core.base import runtime
    from difflab.rehearsal.few import Sizes

    on_gpu = bool(visible_gpus())
    if full and not on_gpu:
        raise DifflabError("--full needs an NVIDIA GPU, and none is visible: without --full networks are small")
    sizes = Sizes(
        images if images is not None else 64 if full else 8, steps, size or (1024 if full else 256),
        None if full else width, on_gpu,
    )  # fmt: skip
    try:
        ran = rehearse(overrides, sizes, folder, click.echo, jobs)
    except KeyboardInterrupt:
        click.echo("stopped: run the same command to go on", err=True)
        runtime.exit_status = 130
        sys.exit(130)
    sys.exit(not ran)


@cli.command()
@click.option("--write", is_flag=True, help="Write them to conf/seconds.yaml, the estimates for other machines.")
def times(write: bool) -> None:
    """Print how long each stage took when it last ran here."""
    from difflab.cli.times import times_table, write_estimates

    click.echo(f"wrote {write_estimates()}" if write else times_table())


@cli.command()
def results() -> None:
    """Print findings and tables of the results that lie here."""
    from difflab.cli.pages import read_summary
    from difflab.report.report import results_text

    click.echo(results_text(read_summary()))


@cli.command()
@click.argument("revs", nargs=-1, metavar="[REV]...")
def compare(revs: tuple[str, ...]) -> None:
    """Print which scores changed, and by more than chance.

    REVs are Git revisions, DVC experiments or `workspace`; default: HEAD and workspace. Those that differ in seeds alone
    are taken together, with their spread. Those with the same parameters are repetitions, as on another machine: they are
    held against prediction intervals.
    """
    from difflab.cli.compare import compare
    from difflab.cli.reproduced import known_spreads
    from difflab.cli.results import read
    from difflab.cli.revisions import WORKSPACE

    click.echo(compare([read(rev) for rev in revs or ("HEAD", WORKSPACE)], known_spreads()))


@cli.command()
@click.argument("rev", default="HEAD")
@click.option("--record", "name", metavar="NAME", help="Add this run to metrics/repetitions.csv under this name.")
def reproduced(rev: str, name: str | None) -> None:
    """Say whether the study reproduced here.

    Compares the results of REV with those of the working tree: counts outputs with the same bytes, then holds each
    headline number against its committed 95 % prediction interval, which knows the spread of training and, from
    metrics/repetitions.csv, that of whole runs of the study.

    Such intervals miss one number in twenty by chance. Exit status 0 if that explains those outside, 1 if as many or
    more would be met in less than 1 of 100 runs (of 60 numbers: 8 or more).
    """
    from difflab.cli.reproduced import reproduced

    page, holds = reproduced(rev, name)
    click.echo(page)
    sys.exit(not holds)


@cli.command()
def claims() -> None:
    """Check the claims of claims.yaml by the results here.

    Exit status 1 if a claim's verdict is not the stated one, or a number of it is absent.
    """
    from difflab.cli.pages import read_summary
    from difflab.report.claims import claims_table, known_findings, read

    findings, absent = known_findings(read(), read_summary())
    click.echo(claims_table(findings))
    click.echo("\n".join(absent), err=True, nl=bool(absent))
    if odd := len(absent) + sum(not finding.as_stated for finding in findings):
        raise DifflabError(f"{odd} of {len(findings) + len(absent)} claims are not what claims.yaml states")


@cli.command()
@click.option("--all", "all_commits", is_flag=True, help="Those of every commit, not of this one alone.")
def experiments(all_commits: bool) -> None:
    """List DVC experiments: what each changed and what moved."""
    from difflab.cli.experiments import experiments_table

    click.echo(experiments_table(all_commits))


@cli.command()
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

    for line in generate_by(models or ("zoo",), base, Request(**options), out, _params()):
        click.echo(line, err=line.startswith("WARNING"))


@cli.command()
@click.argument("adapter", type=click.Path(path_type=Path))
@click.option("--to", "format", required=True, metavar="FORMAT", help="diffusers, peft, kohya, comfyui, onnx.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A folder, or a .safetensors file; default: under exports/."
)
@BASE
def export(adapter: Path, format: str, out: Path | None, base: str | None) -> None:
    """Write a LoRA adapter, or the embedding of a token, for another program.

    ADAPTER is a folder of models/finetune or models/personal, or a file or folder in any of the formats. The folder that
    is written holds a model card too. docs/export.md says what each program reads.
    """
    from difflab.cli.export import export

    click.echo(export(adapter, format, out, base, _params()))


@cli.command()
@click.argument("adapter", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="A folder that is not there yet; default: under exports/.")
@click.option(
    "--bits", type=click.Choice(["8", "4"]), help="Bits of the denoiser's weights: 8 by torchao, 4 by bitsandbytes."
)
@BASE
def merge(adapter: Path | None, out: Path | None, bits: str | None, base: str | None) -> None:
    """Write a whole pipeline with ADAPTER in its weights.

    diffusers loads it by `from_pretrained`. Without ADAPTER it is the base alone.
    """
    from difflab.cli.merge import merge

    click.echo(merge(adapter, out, base, {"8": 8, "4": 4, None: None}[bits], _params()))


@cli.command()
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
    click.echo("\n".join(attention(Request(**asked), out, _params(), keep)))


@cli.command()
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

    params = _params()
    settings = chosen(params.sweep, presets, axes, negative_prompt)
    click.echo(sweep(settings, asked(prompts, settings.num_images), params.runtime, seed, out))


@cli.command("adapter-report")
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

    click.echo(adapter_report(folders, captions, prompts, out, _params()))


@cli.command()
@click.argument("paths", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--model", default="models/captioner/original/seed-0", show_default=True, help="A trained captioner.")
@click.option("--beam", type=click.IntRange(min=1), metavar="N", help="Search with N beams; default: as in training.")
def caption(paths: tuple[str, ...], model: str, beam: int | None) -> None:
    """Print captions of IMAGES: files, or folders of them."""
    from difflab.cli.caption import caption
    from difflab.core.params import load_params

    for file, text in caption(paths, Path(model), beam, load_params().runtime):
        click.echo(f"{file}: {text}")


@cli.group()
def images() -> None:
    """Export image sets: cifar10, mnist, scenes, coco, recipes."""


@images.command("export")
@click.argument("dataset")
@click.argument("folder", type=click.Path(path_type=Path))
def export_images(dataset: str, folder: Path) -> None:
    """Write the prepared images of DATASET and their texts to FOLDER as an image folder with metadata.jsonl."""
    from difflab.cli.image_export import export

    click.echo(f"wrote {folder}, {export(dataset, folder):,} images")


@cli.group()
def mlflow() -> None:
    """Import MLflow runs of stages that ran elsewhere."""


@mlflow.command("import")
@click.argument("rev", default="HEAD")
def import_(rev: str) -> None:
    """Make the MLflow runs of stages that REV's dvc.lock holds but that never ran here (cache, Git history)."""
    from difflab.cli.history import import_runs

    made, there = import_runs(rev)
    click.echo(f"{made} runs made from {rev}, {there} were there already")


@cli.command()
@click.option("--objects", is_flag=True, help="Hash every object of the local cache again.")
def verify(objects: bool) -> None:
    """Check that dvc.lock is what this code gives and is shared."""
    from difflab.cli.verify import verify

    for line in verify(objects):
        click.echo(line)


@cli.command()
@overrides_option
@CHECK
def compose(overrides: tuple[str, ...], check: bool) -> None:
    """Write params.yaml from conf/ as `dvc exp run` does.

    With -S it writes nothing: it says whether the values can be, and what they change in params.yaml.
    """
    from difflab.cli import compose
    from difflab.committed_rulers import check_rulers

    text = compose.compose(overrides)
    check_rulers(compose.validate(text, "the composed parameters"), "the composed parameters")
    if overrides and not check:
        changes = compose.difference(text, Path("params.yaml").read_text() if Path("params.yaml").exists() else "")
        click.echo(
            f"valid; params.yaml stays as it is, and would change by\n{changes}" if changes else "valid, no change"
        )
        return
    _write("params.yaml", text, "conf/", check)


@cli.command()
@CHECK
def graphs(check: bool) -> None:
    """Write docs/graphs.md, the graphs of dvc.yaml."""
    from difflab.cli.pages import graphs

    _write("docs/graphs.md", graphs(), "dvc.yaml", check)


@cli.command()
@CHECK
def readme(check: bool) -> None:
    """Write the main table and the findings into README.md, and answers into docs/references.md."""
    from difflab.cli.pages import REFERENCES, answered, refreshed

    _write("README.md", refreshed(Path("README.md").read_text()), "metrics/summary.json", check)
    if Path(REFERENCES).exists():
        _write(REFERENCES, answered(Path(REFERENCES).read_text()), "metrics/summary.json", check)


def _write(path: str, text: str, source: str, check: bool) -> None:
    """Write a file that is made from `source`; with `check` fail where it differs, with the first lines that do."""
    from difflab.cli.compose import difference
    from difflab.core.base.files import write_text

    old = Path(path).read_text() if Path(path).exists() else ""
    if not check:
        write_text(path, text)
        click.echo(f"wrote {path}")
    elif text != old:
        command = click.get_current_context().info_name
        raise DifflabError(f"{path} is not what {source} gives: run `difflab {command}`\n{difference(text, old, path)}")


def _params(overrides: tuple[str, ...] = ()) -> "Params":
    """The checked parameters that overrides compose; without any, those of params.yaml."""
    from difflab.cli import compose
    from difflab.core.params import load_params

    if not overrides:
        return load_params()
    return compose.validate(compose.compose(overrides), "the composed parameters")


def main() -> None:
    """The console script: an error that a person can act on is one line, without a traceback."""
    gc.set_threshold(200_000, 20, 20)  # as in stages/__init__.py
    print_everything()
    numerics.pin(numerics.mode())
    try:
        cli()
    except Exception as error:
        if (line := one_line(error)) is None:
            raise
        click.echo(f"ERROR: {line}", err=True)
        sys.exit(1)
