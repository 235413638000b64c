"""A folder of two subjects, the parameters of a study of seconds, and tiny bases."""

import copy
import json

import numpy as np
import pytest

from difflab.cli.compose import compose, validate
from difflab.core.base import rng
from difflab.images.archives.opening import open_archive
from difflab.personal.base import Base
from difflab.personal.cells import METHODS
from fakes import tiny_pipelines
from fakes.set_archives import encoded


@pytest.fixture(scope="session")
def whole(root):
    """The parameters of the profile smoke."""
    return validate(compose(["profile=smoke"], root / "conf"), "params.yaml").personal


@pytest.fixture
def params(whole):
    """Changes of the parameters: `params(masks=True)`, of a study of the subjects `dog` and `cat`."""

    def changed(**changes):
        subjects = [{"name": "dog", "class_word": "dog"}, {"name": "cat", "class_word": "cat"}]
        values = whole.model_dump() | {"subjects": subjects, "prompts": ["{} over coffee", "a {} on the moon"]}
        values["methods"] = list(METHODS)
        values["lora"] |= {"rank": 2, "targets": ["to_q", "to_k", "to_v", "to_out.0"]}
        return type(whole).model_validate(values | {"leave_out": 1} | changes)

    return changed


@pytest.fixture
def folder(tmp_path):
    """dog: four pictures with captions; cat: three without."""
    for name, count in (("dog", 4), ("cat", 3)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.png").write_bytes(encoded(20 + number, 16))
    rows = [{"file_name": f"{n}.png", "text": f"a dog on picture {n}"} for n in range(4)]
    (tmp_path / "dog" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def archive(folder):
    return lambda: open_archive(folder)


@pytest.fixture
def base():
    pipeline = tiny_pipelines.pipeline("sd")
    pipeline.tokenizer = copy.deepcopy(pipeline.tokenizer)  # it is shared, and a token may be added
    return Base(pipeline)


@pytest.fixture
def images():
    return rng.numpy_rng(0, "test").integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
