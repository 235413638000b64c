"""The command line, `difflab`. Commands import what they need, so that --help is immediate."""

import errno
import gc
import os
import sys
from pathlib import Path

import click

from difflab.cli.commands import judging, looking, models, repository, running
from difflab.core.base import numerics
from difflab.core.base.errors import DifflabError, one_line, suggestion
from difflab.core.base.runtime import print_everything


class Commands(click.Group):
    """A group that lists its commands in the order in which they were added and suggests a near name for a wrong one."""

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


for command in (*running.COMMANDS, *judging.COMMANDS, *models.COMMANDS, *looking.COMMANDS, *repository.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """The console script: an error that a person can act on is one line, without a traceback."""
    gc.set_threshold(200_000, 20, 20)  # as in stages/__init__.py
    print_everything()
    numerics.pin(numerics.mode())
    try:
        cli()
    except Exception as error:
        if (line := one_line(error) or _given(error)) is None:
            raise
        click.echo(f"ERROR: {line}", err=True)
        sys.exit(1)


def _given(error: Exception) -> str | None:
    """What is wrong with a name or a text that a person gave; None for anything else."""
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"'{os.fsdecode(error.filename)[:40]}...' is longer than the name of a file can be"
    if isinstance(error, UnicodeDecodeError):
        return f"a text is not UTF-8 (byte {error.start}: {error.reason}): save the file as such, see `git status`"
    return None
