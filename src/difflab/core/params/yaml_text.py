"""YAML with the numbers of YAML 1.2, as OmegaConf and DVC read it (1e-4 is a number), by libyaml."""

import re
from functools import cache
from typing import Any

from difflab.core.base.errors import DifflabError

# PyYAML's own rule, YAML 1.1's, wants a point in every number with an exponent.
_FLOAT = re.compile(
    r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |[-+]?\.[0-9_]+(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)


def parse_yaml(text: str, source: str) -> Any:
    """The content of a YAML text; `source` is what an error says it came from.

    Raises:
        DifflabError: it is not YAML; the line says where.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        raise DifflabError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from None


@cache
def _loader() -> type:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        pass

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
    return Loader
