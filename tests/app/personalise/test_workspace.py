import subprocess

import pytest
import yaml

from difflab.app.personalise import workspace
from difflab.app.personalise.wish import job_values
from difflab.core.base.errors import DifflabError
from difflab.images.archives.opening import open_source
from fakes.personalised import WISH


@pytest.fixture
def built(project, five):
    values = yaml.safe_load((project / "params.yaml").read_text())
    made = five.job / "workspace"
    workspace.build(made, five.folder, job_values(WISH, 5, five.folder, values), project)
    return made


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_it_is_a_repository_of_one_stage_whose_change_is_what_was_asked_for(built):
    assert list(yaml.safe_load((built / "dvc.yaml").read_text())["stages"]) == ["personal"]
    assert git(built, "status", "--porcelain").split() == ["M", "params.yaml"]
    assert "dog" in git(built, "diff", "params.yaml")


def test_no_picture_is_copied_and_all_are_read_where_they_lie(built, five):
    archive = open_source(built / "data/raw/subjects", str(five.folder))
    assert {name for name in archive.names() if name.endswith(".png")} == {f"subject/{n:02d}.png" for n in range(1, 6)}
    contents = {path.read_bytes() for path in built.rglob("*") if path.is_file()}
    assert not contents & {picture.read_bytes() for picture in five.pictures()}


def test_dvc_is_kept_from_caches_and_servers_of_others(built, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://example.org")
    monkeypatch.setenv("DIFFLAB_DATA", "/elsewhere")
    environment = workspace.environment(built)
    assert not {"MLFLOW_TRACKING_URI", "DIFFLAB_DATA"} & environment.keys()
    assert environment["DVC_SITE_CACHE_DIR"].startswith(str(built.resolve()))
    assert "dir = cache" in (built / ".dvc/config").read_text()


def test_a_missing_model_names_the_command(project, five, tmp_path):
    for name in ("src", "stages", "dvc.yaml", "params.yaml"):
        (tmp_path / name).symlink_to(project / name)
    with pytest.raises(DifflabError, match="models/zoo/diffusion is missing: run `difflab repro personal`"):
        workspace.build(five.job / "workspace", five.folder, {}, tmp_path)
