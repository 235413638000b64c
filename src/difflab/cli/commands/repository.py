"""Commands on the files of the repository: data and runs elsewhere, its lock, its parameters and pages."""

from pathlib import Path

import click

from difflab.cli.commands.options import CHECK, OVERRIDES, PATH, write_or_check


@click.group()
def images() -> None:
    """Export image sets: cifar10, mnist, scenes, coco, recipes."""


@images.command("export")
@click.argument("dataset")
@click.argument("folder", type=PATH)
def export_images(dataset: str, folder: Path) -> None:
    """Write the prepared images of DATASET and their texts to FOLDER as an image folder with metadata.jsonl."""
    from difflab.cli.image_export import export

    click.echo(f"wrote {folder}, {export(dataset, folder):,} images")


@click.group()
def mlflow() -> None:
    """Import MLflow runs of stages that ran elsewhere."""


@mlflow.command("import")
@click.argument("rev", default="HEAD")
def import_(rev: str) -> None:
    """Make the MLflow runs of stages that REV's dvc.lock holds but that never ran here (cache, Git history)."""
    from difflab.cli.history import import_runs

    made, there = import_runs(rev)
    click.echo(f"{made} runs made from {rev}, {there} were there already")


@click.command()
@click.option("--objects", is_flag=True, help="Hash every object of the local cache again.")
def verify(objects: bool) -> None:
    """Check that dvc.lock is what this code gives and is shared."""
    from difflab.cli.verify import verify

    for line in verify(objects):
        click.echo(line)


@click.command()
@OVERRIDES
@CHECK
def compose(overrides: tuple[str, ...], check: bool) -> None:
    """Write params.yaml from conf/ as `dvc exp run` does.

    With -S it writes nothing: it says whether the values are valid, and what they change in params.yaml.
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
    write_or_check("params.yaml", text, "conf/", check)


@click.command()
@CHECK
def graphs(check: bool) -> None:
    """Write docs/graphs.md, the graphs of dvc.yaml."""
    from difflab.cli.pages import graphs

    write_or_check("docs/graphs.md", graphs(), "dvc.yaml", check)


@click.command()
@CHECK
def readme(check: bool) -> None:
    """Write results into README.md, docs/references.md."""
    from difflab.cli.pages import REFERENCES, answered, refreshed

    write_or_check("README.md", refreshed(Path("README.md").read_text()), "metrics/summary.json", check)
    if Path(REFERENCES).exists():
        write_or_check(REFERENCES, answered(Path(REFERENCES).read_text()), "metrics/summary.json", check)


COMMANDS = (images, mlflow, verify, compose, graphs, readme)
