"""Commands that read results: findings, comparisons of revisions, reproduction, claims, experiments."""

import sys

import click

from difflab.core.base.errors import DifflabError


@click.command()
def results() -> None:
    """Print findings and tables of the results that lie here."""
    from difflab.cli.pages import read_summary
    from difflab.report.report import results_text

    click.echo(results_text(read_summary()))


@click.command()
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


@click.command()
@click.argument("rev", default="HEAD")
@click.option(
    "--record", "name", metavar="NAME", help="Add this run to metrics/repetitions.csv and claims.yaml as NAME."
)
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


@click.command()
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


@click.command()
@click.option("--all", "all_commits", is_flag=True, help="Those of every commit, not of this one alone.")
def experiments(all_commits: bool) -> None:
    """List DVC experiments: what each changed and what moved."""
    from difflab.cli.experiments import experiments_table

    click.echo(experiments_table(all_commits))


COMMANDS = (results, compare, reproduced, claims, experiments)
