"""Every `-S` of the documentation holds for the default study; tests/study runs the commands in the smallest one."""

import itertools
import re
import shlex

import pytest
from omegaconf import OmegaConf

from difflab.cli.compose import compose, validate

PAGES = ("README.md", "docs/experiments.md", "docs/sharing.md", "CONTRIBUTING.md")


def commands(root):
    """Lines of fenced blocks and commands in `backticks` that set values, comments removed."""
    for page in PAGES:
        text = (root / page).read_text()
        fenced = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = "".join(fenced).replace("\\\n", " ").splitlines() + re.findall(r"`((?:dvc|difflab) [^`]*)`", text)
        yield from (line.split("  #")[0].strip() for line in lines if " -S " in line and "key=value" not in line)


def experiments(command):
    """The overrides of each experiment that a command runs: several values without brackets make several."""
    words = shlex.split(command)
    given = [words[n + 1].partition("=") for n, word in enumerate(words) if word == "-S"]
    for values in itertools.product(*(re.split(r",(?![^\[]*\])", value) for _, _, value in given)):
        yield [f"{name}={value}" for (name, _, _), value in zip(given, values, strict=True)]


def test_there_are_commands(root):
    assert len(list(commands(root))) > 10


def test_their_values_can_be(root):
    conf, composed = root / "conf", {}
    for command in dict.fromkeys(commands(root)):
        if re.search(r"<|\.\.\.|=[A-Z]+\b", command):  # a placeholder
            continue
        for overrides in experiments(command):
            choices = tuple(o for o in overrides if o.startswith(("profile=", "experiment=")))
            if choices not in composed:
                composed[choices] = OmegaConf.create(compose(choices, conf))
            values = OmegaConf.from_dotlist([o for o in overrides if o not in choices])
            validate(OmegaConf.to_yaml(OmegaConf.merge(composed[choices], values)), command)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dvc exp run -S a.b=1,2 -S c=x d", [["a.b=1", "c=x"], ["a.b=2", "c=x"]]),
        ("dvc exp run -S 'a=[1,2]'", [["a=[1,2]"]]),
        ("dvc exp run", [[]]),
    ],
)
def test_experiments_of_a_command(command, expected):
    assert list(experiments(command)) == expected
