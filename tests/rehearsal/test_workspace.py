"""A rehearsal has a folder of its own, and leaves the repository and what else lies on the disk alone."""

import subprocess

import pytest

from difflab.core.base.errors import DifflabError
from difflab.rehearsal.workspace import Workspace

SETTINGS = {"overrides": ["profile=paper"], "images": 8}


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "study"
    for name in ("src/a.py", "stages/b.py", "dvc.yaml", "dvc.lock", "metrics/c.json", "params.yaml", "secret.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / ".gitignore").write_text("secret.txt\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and ".git" not in p.parts}


def test_code_and_configuration_are_copied_and_no_result(repository, tmp_path):
    place = Workspace(tmp_path / "rehearsal")
    before = files(repository)
    place.copy(repository, "profile: paper\n")
    assert files(place.repository) == {"src/a.py", "stages/b.py", "dvc.yaml", "params.yaml", ".gitignore"}
    assert (place.repository / "params.yaml").read_text() == "profile: paper\n"
    assert files(repository) == before
    assert (repository / "params.yaml").read_text() == "params.yaml"


def test_a_second_copy_follows_the_code_and_keeps_results(repository, tmp_path):
    place = Workspace(tmp_path / "rehearsal")
    place.copy(repository, "")
    (place.repository / "dvc.lock").write_text("done")
    (repository / "src/a.py").write_text("repaired")
    (repository / "stages/b.py").unlink()
    place.copy(repository, "")
    assert (place.repository / "src/a.py").read_text() == "repaired"
    assert not (place.repository / "stages/b.py").exists()
    assert (place.repository / "dvc.lock").read_text() == "done"


def test_its_own_folder_is_taken_again(repository, tmp_path):
    folder = tmp_path / "rehearsal"
    assert not Workspace(folder).claim(repository, SETTINGS, 0.0)
    assert Workspace(folder).claim(repository, SETTINGS, 0.0)
    assert not Workspace(folder).claim(repository, SETTINGS | {"images": 9}, 0.0)


def test_two_rehearsals_at_once_in_one_folder_are_refused(repository, tmp_path):
    first = Workspace(tmp_path / "rehearsal")
    first.claim(repository, SETTINGS, 0.0)
    with pytest.raises(DifflabError, match="another rehearsal runs in"):
        Workspace(tmp_path / "rehearsal").claim(repository, SETTINGS, 0.0)


def test_a_folder_with_other_things_is_refused(repository, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("mine")
    with pytest.raises(DifflabError, match=r"thesis is not empty and holds no rehearsal: give --folder another place"):
        Workspace(tmp_path / "thesis").claim(repository, SETTINGS, 0.0)
    with pytest.raises(DifflabError, match="which is a file"):
        Workspace(tmp_path / "thesis/chapter.tex").claim(repository, SETTINGS, 0.0)
    assert (tmp_path / "thesis/chapter.tex").read_text() == "mine"


@pytest.mark.parametrize("inside", [".", "rehearsal", "src/deeper"])
def test_the_repository_itself_is_refused(repository, inside):
    with pytest.raises(DifflabError, match="inside the repository: take one outside"):
        Workspace(repository / inside).claim(repository, SETTINGS, 0.0)


def test_a_disk_without_room_is_refused_before_anything_is_written(repository, tmp_path):
    with pytest.raises(DifflabError, match=r"GB free, the rehearsal needs about 1000000000: free some"):
        Workspace(tmp_path / "rehearsal").claim(repository, SETTINGS, 1e9)
    assert not (tmp_path / "rehearsal").exists()


def test_programs_see_the_rehearsal_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://tracking.example")
    monkeypatch.setenv("DIFFLAB_DATA", "/real/pictures")
    place = Workspace(tmp_path)
    seen = place.environment()
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert not {"HF_TOKEN", "MLFLOW_TRACKING_URI", "DIFFLAB_DATA"} & seen.keys()
    for name in ("HF_HOME", "TORCH_HOME", "PYTHONPATH"):
        assert seen[name].startswith(str(place.folder))
