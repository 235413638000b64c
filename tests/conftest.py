"""Fixtures shared by all tests."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

gc.set_threshold(200_000, 20, 20)  # as in stages/__init__.py: importing the libraries is quicker by a quarter

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "2")

ROOT = Path(__file__).resolve().parent.parent

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The study is run first, by one test process; what works in copies of it comes last, when it is finished."""
    items.sort(key=lambda item: 0 if item.path.name == "test_smoke.py" else 2 if _of_study(item) else 1)


def _of_study(item: pytest.Item) -> bool:
    return ROOT / "tests" / "study" in item.path.parents


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
