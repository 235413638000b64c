from dataclasses import replace

import numpy as np
import pytest
import torch

from difflab.app.personalise.outcome import Outcome, read_outcome, sample
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import write_json
from difflab.models.pipelines.prompted import Options
from difflab.personal import methods
from difflab.personal.base import Base
from fakes import tiny_pipelines
from fakes.personalised import LORA, METHODS, WISH, trained

OPTIONS = Options("ddim", 3, 2.0)
PROMPT = "a photo of sks dog"


@pytest.fixture
def pipeline():
    return tiny_pipelines.pipeline("sd")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_stands_beside_the_base_and_leaves_it_as_it_was(pipeline, tmp_path, method):
    outcome = trained(method, tmp_path / "model")
    before = sample(pipeline, OPTIONS, outcome, PROMPT, 4, 0)
    assert {name: np.shape(pictures) for name, pictures in before.items()} == {
        "base": (4, 16, 16, 3), "personalised": (4, 16, 16, 3),
    }  # fmt: skip
    assert not np.array_equal(before["base"], before["personalised"])
    again = sample(pipeline, OPTIONS, outcome, PROMPT, 4, 0)
    assert all(np.array_equal(before[name], again[name]) for name in before)
    assert "<sks>" not in pipeline.tokenizer.get_vocab()


def test_both_start_from_the_same_noise(pipeline, tmp_path):
    outcome = trained("lora", tmp_path / "model")
    with torch.no_grad():
        unchanged = Base(tiny_pipelines.pipeline("sd")).frozen_copy()
        methods.prepare(unchanged, "full", LORA, WISH.words, 0)
        methods.save(tmp_path / "same", unchanged, "full", LORA, WISH.words, "base")
    same = sample(pipeline, OPTIONS, replace(outcome, folder=tmp_path / "same", wish=replace(WISH, method="full")),
                  PROMPT, 4, 7)  # fmt: skip
    assert np.array_equal(same["base"], same["personalised"])
    other = sample(pipeline, OPTIONS, outcome, PROMPT, 4, 8)
    assert not np.array_equal(same["base"], other["base"])


@pytest.mark.parametrize(
    ("prompt", "line"), [(" ", "the prompt is empty"), ("a dog " * 40, "is truncated: shorten it")]
)
def test_a_prompt_that_is_not_read_whole_is_refused(pipeline, tmp_path, prompt, line):
    with pytest.raises(DifflabError, match=line):
        sample(pipeline, OPTIONS, Outcome(WISH, tmp_path, {}), prompt, 4, 0)


def test_what_a_job_left_is_its_model_and_its_measures_beside_the_base_s(tmp_path):
    workspace = tmp_path / "workspace"
    (workspace / "models/personal/lora_none-4-subject-0").mkdir(parents=True)
    write_json(workspace / "metrics/personal.json",
               {"lora_none_drift_kid": 2.0, "base_drift_kid": 0.5, "lora_none_similarity": 0.1})  # fmt: skip
    outcome = read_outcome(tmp_path, WISH)
    assert outcome.file.name == "pytorch_lora_weights.safetensors"
    assert outcome.measures == {"drift_kid": (2.0, 0.5)}


def test_the_file_has_a_name_that_any_system_takes():
    assert Outcome(replace(WISH, class_word="a/b ü"), None, {}).file_name == "sks-a-b-ü-lora.safetensors"


def test_a_job_that_left_nothing_is_one_line(tmp_path):
    with pytest.raises(DifflabError, match="has left no model"):
        read_outcome(tmp_path, WISH)
