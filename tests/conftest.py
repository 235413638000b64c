"""Fixtures shared by all tests."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

gc.set_threshold(200_000, 20, 20)  # as in stages/__init__.py: importing the libraries is quicker by a quarter

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "2")

ROOT = Path(__file__).resolve().parent.parent
STUDY = ROOT / "tests" / "study"
LONGEST = ("test_docs", "test_sharing", "test_interruption", "test_experiments", "test_rulers", "test_history")

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files so that every test process is busy to the end.

    The study is run first, by one of them, while the other takes half of the files. Then comes what works in copies of
    the finished study, the longest first. A file of many short tests follows each: a process is given its next file when
    two tests are left of the last one, and the next long one would wait behind a test of minutes.
    """
    counts = Counter(item.path for item in items)
    others = [path for path in counts if path.parent != STUDY]
    first, last = others[: len(others) // 2], others[len(others) // 2 :]
    short = [path for path in last if counts[path] > 2]
    order = [STUDY / "test_smoke.py", *first]
    for name in LONGEST:
        order += [STUDY / f"{name}.py", *short[:1]]
        del short[:1]
    order += [path for path in counts if path not in order]
    places = {path: place for place, path in enumerate(order)}
    items.sort(key=lambda item: places[item.path])


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("DIFFLAB_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real data is absent: set DIFFLAB_DATA to a folder with the archives")
    return folder.resolve()
