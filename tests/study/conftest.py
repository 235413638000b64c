"""The study in its smallest size, run once through real DVC for all tests of this folder, and copies of it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from difflab.cli.compose import compose
from study.shell import commit, run, start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.smoke)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(2400))


@pytest.fixture(scope="session")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the working tree's files whose default profile is `smoke`, run and committed.

    Shared by all test processes: read it, or use `study`.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, mark = shared / "finished", shared / "finished.state"
    with FileLock(f"{mark}.lock"):
        if not mark.exists():
            mark.write_text("failed")
            make(root, folder)
            mark.write_text("made")
    if mark.read_text() != "made":
        pytest.fail("another test process could not run the study: see its error")
    return folder


def make(root: Path, folder: Path) -> None:
    """Copy the code, make `smoke` the default, run the study two stages at once, commit its results."""
    listed = run(root, "git", "ls-files", "--cached", "--others", "--exclude-standard").stdout.splitlines()
    for name in listed:
        if name.startswith(("src/", "stages/", "conf/", "rulers/", ".dvc")) or name in {
            "dvc.yaml",
            "claims.yaml",
            ".gitignore",
        }:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, folder / name)
    config = folder / "conf" / "config.yaml"
    text = config.read_text()
    assert "- profile: tiny\n" in text
    config.write_text(text.replace("- profile: tiny\n", "- profile: smoke\n"))
    (folder / "params.yaml").write_text(compose(conf=folder / "conf"))
    start(folder)
    run(folder, "difflab", "repro", "--jobs", "2")
    commit(folder, "results")


@pytest.fixture
def study(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished study, with its cache, to work in."""
    yield from copied(finished, tmp_path / "study")


@pytest.fixture(scope="module")
def unchanged(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy for tests of what must change nothing."""
    yield from copied(finished, tmp_path_factory.mktemp("unchanged") / "study")


def copied(finished: Path, folder: Path) -> Iterator[Path]:
    shutil.copytree(finished, folder, symlinks=True, copy_function=_linked_or_copied)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _linked_or_copied(source: str, target: str) -> None:
    """Link what DVC and Git have write-protected, as they never change it in its place; copy the rest."""
    if os.stat(source).st_mode & 0o222:
        shutil.copy2(source, target)
    else:
        os.link(source, target)
