"""Options that several commands take, and what they do with them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from difflab.core.base.errors import DifflabError

if TYPE_CHECKING:
    from difflab.study import Params


class GivenPath(click.Path):
    """A path that is not empty: `--out "$UNSET"` would be the working folder."""

    def convert(self, value, param, ctx):
        if not str(value):
            self.fail("it is empty: give a path", param, ctx)
        return super().convert(value, param, ctx)


class GivenName(click.types.StringParamType):
    """A name that is not empty."""

    def convert(self, value, param, ctx):
        if not str(value).strip():
            self.fail("it is empty: give a name, or leave it out", param, ctx)
        return super().convert(value, param, ctx)


PATH = GivenPath(path_type=Path)
NAME = GivenName()
SEED = click.option(
    "--seed", type=click.IntRange(min=0, max=2**63 - 1), default=0, show_default=True, help="Random seed of the noise."
)
NEGATIVE = "Text to steer away from."
MODEL = "Name in src/difflab/models/known/pipelines.yaml, or the repository of one of them"
BASE = click.option(
    "--base",
    type=NAME,
    help="What an adapter was trained on: sd3 (the study's), a name or repository as for a model, or a folder.",
)
CHECK = click.option("--check", is_flag=True, help="Write nothing; fail if the file is out of date.")
SET = "As in `dvc exp run -S`, repeatable: profile=paper, experiment=faces, finetune.lora.rank=8."
OVERRIDES = click.option("-S", "--set-param", "overrides", multiple=True, metavar="KEY=VALUE", help=SET)


def params_of(overrides: tuple[str, ...] = ()) -> "Params":
    """The checked parameters that overrides compose; without any, those of params.yaml."""
    from difflab.cli import compose
    from difflab.core.params import load_params

    if not overrides:
        return load_params()
    return compose.validate(compose.compose(overrides), "the composed parameters")


def write_or_check(path: str, text: str, source: str, check: bool) -> None:
    """Write a file that is made from `source`; with `check` fail where it differs, with the first lines that do."""
    from difflab.cli.compose import difference
    from difflab.core.base.files import write_text

    old = Path(path).read_text() if Path(path).exists() else ""
    if not check:
        write_text(path, text)
        click.echo(f"wrote {path}")
    elif text != old:
        command = click.get_current_context().info_name
        click.echo(difference(text, old, path), err=True)
        raise DifflabError(f"{path} is not what {source} gives: run `difflab {command}`")
