"""Commands in this process, as a user types them."""

from click.testing import CliRunner

from difflab.cli.main import cli
from difflab.core.base.errors import one_line


def run(*arguments: str) -> str:
    """What a command printed; its error is raised."""
    result = CliRunner().invoke(cli, list(arguments))
    if result.exception and result.exit_code:
        raise result.exception
    return result.output


def error(*arguments: str) -> str:
    """The one line of a command that is refused."""
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exit_code
    line = one_line(result.exception)
    assert line, result.exception
    assert "\n" not in line
    return line
