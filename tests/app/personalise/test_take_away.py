import pytest
import torch

from difflab.app.personalise.take_away import PROGRAMS, packed_for
from difflab.cli.compose import compose, validate
from difflab.models.adapters.fit import layers_of
from difflab.models.adapters.reading import read_adapter
from fakes import tiny_pipelines
from fakes.personalised import trained


@pytest.fixture(scope="module")
def params(root):
    return validate(compose(["profile=smoke"], root / "conf"), "params.yaml")


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipelines.pipeline("sd")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("method", ["lora", "lora_text"])
def test_every_program_gets_the_same_change_of_the_weights(params, pipeline, tmp_path, method, program):
    outcome, layers = trained(method, tmp_path / "model"), layers_of(pipeline)
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(packed_for(program, outcome, pipeline, params))
    own, found = (read_adapter(path).updates(layers) for path in (outcome.file, taken))
    assert own.keys() == found.keys()
    for name in own:
        torch.testing.assert_close(found[name].delta(), own[name].delta(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", ["full", "textual_inversion"])
def test_what_is_no_lora_is_taken_as_it_is(params, pipeline, tmp_path, method):
    outcome = trained(method, tmp_path / "model")
    assert packed_for("diffusers", outcome, pipeline, params) == outcome.file.read_bytes()
