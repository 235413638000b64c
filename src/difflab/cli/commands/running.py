"""Commands about a run of the study: what it would do and need, the run itself, a rehearsal, its times."""

import sys
import time
from pathlib import Path

import click

from difflab.cli.commands.options import OVERRIDES, PATH, params_of
from difflab.core.base.errors import DifflabError


@click.command()
@OVERRIDES
def plan(overrides: tuple[str, ...]) -> None:
    """Say what a run would do and need, without running it.

    That is stages, models, data, accounts, disk and minutes; of released models hours, money and memory by stage, beside
    what the last run here took. The run is that of params.yaml, with -S that of
    `dvc exp run -S ...`.
    """
    from difflab.cli import compose
    from difflab.cli.plan import plan, runs
    from difflab.core.params.loading import parse_yaml, read_values

    params = params_of(overrides)
    click.echo(plan(params))
    values = parse_yaml(compose.compose(overrides), "the composed parameters") if overrides else read_values()
    click.echo(runs(values, estimated=params.zoo.transformer.hub is None))


@click.command()
@OVERRIDES
@click.option("--hub", is_flag=True, help="Ask the Hub for the first byte of every file of every model.")
def doctor(overrides: tuple[str, ...], hub: bool) -> None:
    """Say what this machine has, and what a run lacks on it.

    Fails if anything is missing. The run is that of params.yaml, with -S that of `dvc exp run -S ...`.
    """
    from difflab.cli.doctor import examine
    from difflab.cli.hub_check import hub_check
    from difflab.cli.plan import hub_models

    params = params_of(overrides)
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


@click.command()
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


@click.command()
@OVERRIDES
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
@click.option("--folder", type=PATH, help="Where. Default: beside the repository.")
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
        images if images is not None else 64 if full else 8, steps, size if size is not None else 1024 if full else 256,
        None if full else width, on_gpu,
    )  # fmt: skip
    try:
        ran = rehearse(overrides, sizes, folder, click.echo, jobs)
    except KeyboardInterrupt:
        click.echo("stopped: run the same command to go on", err=True)
        runtime.exit_status = 130
        sys.exit(130)
    sys.exit(not ran)


@click.command()
@click.option("--write", is_flag=True, help="Write them to conf/seconds.yaml, the estimates for other machines.")
def times(write: bool) -> None:
    """Print how long each stage took when it last ran here."""
    from difflab.cli.times import times_table, write_estimates

    click.echo(f"wrote {write_estimates()}" if write else times_table())


COMMANDS = (plan, doctor, repro, rehearse, times)
