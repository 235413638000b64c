"""A repository with tiny models, in this process."""

import pytest

from difflab.app.looking import work
from difflab.app.looking.visit import Visit
from difflab.app.models import Models
from difflab.cli.attention_capture import Sampling
from difflab.core.params import load_params

A, B = "models/finetune/blip2-zero/seed-0", "models/finetune/llama3-zero/seed-0"
PROMPTS = "three over a cat", "a dog"


@pytest.fixture(scope="package")
def loaded(project):
    """The models of the app, of which the base is loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        models = Models(load_params())
        models.load("transformer")
    return models


@pytest.fixture
def models(loaded, inside):
    return loaded


@pytest.fixture
def visit(models):
    """A visitor who has made the pictures of two prompts by the base and an adapter."""
    sampling = Sampling(PROMPTS, ("sd3", A), 2, 2.5, seed=3)
    visit = Visit()
    visit.show(sampling, work.captured(models, sampling, work.Run(8)))
    return visit
