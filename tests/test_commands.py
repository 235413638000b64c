"""Every command that is written down parses, names what exists, and its `-S` hold for the default study.

tests/study runs those of docs/experiments.md, docs/personal.md and `make rulers` in the smallest study.
"""

import itertools
import logging
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from omegaconf import OmegaConf

from closure import ROOT, STAGES
from difflab.cli.compose import compose
from difflab.cli.main import cli
from difflab.core.params.loading import addresses, check_params

PAGES = (
    "README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/experiments.md", "docs/export.md", "docs/personal.md",
    "docs/sharing.md",
)  # fmt: skip
PROGRAMS = ("dvc", "difflab", "make")
PLACEHOLDER = r"<|\{|\.\.\.|\b(NAME|STAGE|FOLDER)\b|key=value"


def lines(page: Path) -> list[str]:
    """Lines of fenced blocks and commands in `backticks`, comments removed."""
    text = page.read_text()
    fenced = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    found = "".join(fenced).replace("\\\n", " ").splitlines() + re.findall(r"`((?:dvc|difflab|make) [^`]*)`", text)
    return [line.split("  #")[0].strip() for line in found]


def recipes() -> list[str]:
    """The lines of the Makefile's recipes as the shell gets them, but for make's variables."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ").replace("$$", "$")
    return [line.strip(" \t@") for line in text.splitlines() if line.startswith("\t")]


def written() -> Iterator[tuple[str, list[str]]]:
    """Where a command stands, and its words: pages, remedies in the code, comments, claims, the Makefile."""
    for page in PAGES:
        yield from ((page, words) for line in lines(ROOT / page) for words in simple(line))
    for file in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]):
        for line in re.findall(r"`((?:dvc|difflab|make) [^`]*)`", re.sub(r"\s+", " ", file.read_text())):
            yield from ((str(file.relative_to(ROOT)), words) for words in simple(line))
    for file in sorted((ROOT / "conf").rglob("*.yaml")):
        for line in re.findall(r"^#   (.*)", file.read_text(), re.MULTILINE):
            yield from ((file.name, words) for words in simple(line))
    for claim in yaml.safe_load((ROOT / "claims.yaml").read_text()):
        yield from (("claims.yaml", words) for words in simple(claim["command"]))
    yield from (("Makefile", words) for line in recipes() for words in simple(line))


def simple(line: str) -> Iterator[list[str]]:
    """The words of each call of one of the programs in a line of shell."""
    if not re.search(rf"\b({'|'.join(PROGRAMS)})\b", line):
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    for _, part in itertools.groupby(lexer, lambda word: set(word) <= set("&|;()")):
        words = list(itertools.dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=.*|do|then|!", word), part))
        if ">" in words:
            words = words[: words.index(">")]
        if words[-1:] == ["-S"]:  # of a sentence about the option
            words.pop()
        if len(words) > 1 and words[0] in PROGRAMS and not re.search(PLACEHOLDER, " ".join(words)):
            yield words


def mistake(words: list[str]) -> str:
    """What is wrong with a command, without running it; empty if nothing is."""
    match words[0]:
        case "make":
            known = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            return f"no target {words[1]}" if words[1] not in known else ""
        case "difflab":
            command, rest = cli, words[1:]
            try:
                while isinstance(command, click.Group) and rest:
                    _, command, rest = command.resolve_command(click.Context(command), rest)
                command.make_context(words[0], rest)
            except click.exceptions.Exit:  # --help
                pass
            except click.MissingParameter:
                return "" if not rest else "too short"  # a command's name alone
            except click.ClickException as error:
                return error.format_message()
        case "dvc":
            from dvc.cli import DvcParserError, parse_args

            logging.disable(logging.CRITICAL)
            try:
                parsed = parse_args(words[1:])
            except DvcParserError:
                return "dvc does not take it"
            finally:
                logging.disable(logging.NOTSET)
            targets = set(getattr(parsed, "targets", None) or ()) if set(words) & {"repro", "run"} else set()
            return ", ".join(targets - {*STAGES, *addresses(str(ROOT / "dvc.yaml"))})
    return ""


def test_every_command_parses_and_names_what_there_is(capsys):
    commands = list(written())
    assert {where for where, _ in commands} >= {*PAGES, "Makefile", "claims.yaml", "faces.yaml"}
    mistakes = {f"{where}: {' '.join(words)}": mistake(words) for where, words in commands}
    assert {command: wrong for command, wrong in mistakes.items() if wrong} == {}


@pytest.mark.parametrize(
    "line",
    [
        "difflab compose zoo.rulers=retrain",
        "cd x && difflab compare --nope",
        "difflab mlflow export",
        "dvc exp run -n x --nope",
        "X=1 dvc repro finetune@blip3-minus",
        "make everything",
    ],
)
def test_a_command_that_cannot_be_is_found(line):
    ((words),) = simple(line)
    assert mistake(words)


def experiments(words: list[str]) -> Iterator[list[str]]:
    """The overrides of each experiment that a command runs: several values without brackets make several."""
    given = [words[n + 1].partition("=") for n, word in enumerate(words) if word == "-S"]
    for values in itertools.product(*(re.split(r",(?![^\[]*\])", value) for _, _, value in given)):
        yield [f"{name}={value}" for (name, _, _), value in zip(given, values, strict=True)]


def test_their_values_can_be(root):
    commands = {tuple(words): where for where, words in written() if "-S" in words}
    assert len(commands) > 10
    conf, composed = root / "conf", {}
    for words, where in commands.items():
        for overrides in experiments(list(words)):
            choices = tuple(
                o for o in overrides if o.startswith(("profile=", "base=", "hardware=", "experiment=", "trained_on."))
            )
            if choices not in composed:
                composed[choices] = OmegaConf.create(compose(choices, conf))
            values = OmegaConf.from_dotlist([o for o in overrides if o not in choices])
            changed = OmegaConf.to_container(OmegaConf.merge(composed[choices], values))
            check_params(changed, f"{where}: {shlex.join(words)}")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dvc exp run -S a.b=1,2 -S c=x d", [["a.b=1", "c=x"], ["a.b=2", "c=x"]]),
        ("dvc exp run -S 'a=[1,2]'", [["a=[1,2]"]]),
        ("dvc exp run", [[]]),
    ],
)
def test_experiments_of_a_command(command, expected):
    assert list(experiments(shlex.split(command))) == expected
