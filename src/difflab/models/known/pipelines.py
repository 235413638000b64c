"""The text-to-image models that have a short name: the pipeline's own and released ones, as pipelines.yaml lists them.

They stand here and not in params.yaml because a study names a few of them, and a stage would depend on all.
"""

from functools import cache
from pathlib import Path

from pydantic import ValidationError

from difflab.core.base.errors import DifflabError
from difflab.core.params.base import share
from difflab.core.params.loading import describe, read_yaml
from difflab.models.params import PipelineParams

LIST = Path(__file__).with_name("pipelines.yaml")


@cache
def known_pipelines() -> dict[str, PipelineParams]:
    """The models by their short names, `zoo` (the pipeline's own) among them; a DifflabError where the list is wrong."""
    values = read_yaml(LIST)
    try:
        shared = share(values, dict.fromkeys(values.keys() - {"common"}, PipelineParams))
        return {name: PipelineParams.model_validate(model) for name, model in shared.items()}
    except ValidationError as error:
        raise DifflabError(f"{LIST}: {describe(error)}") from None
    except ValueError as error:  # of `common`
        raise DifflabError(f"{LIST}: {error}") from None
