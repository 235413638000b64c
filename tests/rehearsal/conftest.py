"""A Hugging Face cache and a data root of stand-ins, written once for the tests here."""

from pathlib import Path

import pytest

from difflab.models.params import HubRef
from difflab.rehearsal import archives, published, standins

WIDTH, SIZE, IMAGES = 64, 64, 8


def ref(repo_id: str, **changes) -> HubRef:
    return HubRef(**{"repo_id": repo_id, "revision": None, "subfolder": None, "allow_patterns": None, **changes})


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory):
    """The folder of a repository's stand-in by its id."""
    cache = tmp_path_factory.mktemp("hub")

    def made(repo_id: str) -> Path:
        standins.write(cache, ref(repo_id), WIDTH, SIZE, None)
        return standins.snapshot_of(cache, ref(repo_id))

    return made


@pytest.fixture(scope="session")
def root_of_archives(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("archives")
    paths = {name: f"{name}.zip" for name in archives.WRITERS} | {"mnist": "mnist", "recipes": "recipes"}
    paths |= {"cifar10": "cifar-10-binary.tar.gz"}
    assert list(archives.write(root, paths, IMAGES, SIZE)) == list(archives.WRITERS)
    return root


def every_repository() -> list[str]:
    return published.repositories()
