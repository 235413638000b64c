"""The list of known models: what a model does not give it takes from `common`, and a wrong list is one line."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.models.known import pipelines
from difflab.models.known.pipelines import known_pipelines


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """Reads a list of this text."""
    monkeypatch.setattr(pipelines, "LIST", tmp_path / "pipelines.yaml")

    def read(text):
        pipelines.LIST.write_text(text)
        return known_pipelines.__wrapped__()

    return read


COMMON = (
    "common: {hub: {subfolder: null, allow_patterns: null}, distilled: false, scheduler: ddpm, guidance_scale: 7.5}\n"
)


def test_a_model_takes_from_common_what_it_does_not_give(listed):
    models = listed(
        COMMON + "own: {hub: null, num_inference_steps: 10}\n"
        "far: {hub: {repo_id: a/far, revision: null}, num_inference_steps: 4, guidance_scale: 1}\n"
    )
    assert list(models) == ["own", "far"]
    assert (models["own"].hub, models["own"].guidance_scale) == (None, 7.5)
    assert (models["far"].hub.repo_id, models["far"].hub.subfolder, models["far"].guidance_scale) == ("a/far", None, 1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("own: {hub: null}\n", "parameter 'num_inference_steps' is missing"),
        ("own: {hub: null, num_inference_steps: 0}\n", "num_inference_steps"),
        ("own: {hub: null, num_inference_steps: 5, guidance: 3}\n", "unknown parameter 'guidance'"),
    ],
)
def test_a_wrong_list_is_refused(listed, text, fault):
    with pytest.raises(DifflabError, match=rf"pipelines\.yaml: .*{fault}"):
        listed("common: {distilled: false, scheduler: ddpm, guidance_scale: 7.5}\n" + text)


def test_the_names_are_those_that_commands_take():
    assert next(iter(known_pipelines())) == "zoo"
    assert "stable-diffusion-2-1" in known_pipelines()
