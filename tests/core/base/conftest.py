"""A repository whose stages are small programs."""

import pytest

from difflab.cli.compose import compose
from fakes import small_stages


@pytest.fixture(scope="session")
def composed(root):
    return compose(["profile=smoke", "tracking.enabled=false"], root / "conf")


@pytest.fixture
def repo(tmp_path, root, composed):
    return small_stages.make(tmp_path, root, composed)
