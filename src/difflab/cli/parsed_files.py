"""DVC's YAML files parsed once: a text that this process, or the one it was forked from, has parsed is known by then.

DVC parses dvc.yaml and dvc.lock for every command and params.yaml again for every stage, in pure Python, and looks each
declared parameter up by a walk through all of them: most of the time of a run that finds nothing to do.
"""

import contextlib
import functools
import pickle
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@contextlib.contextmanager
def parsed_once() -> Generator[None]:
    """Let DVC (3.67) read YAML and parameters this way in the block."""
    import dpath
    from dvc.dependency import param
    from dvc.utils import serialize, strictyaml
    from dvc.utils.serialize import _yaml

    places = (_yaml, serialize, strictyaml)
    originals = [place.parse_yaml for place in places]

    def parse(text: str, path: Any, typ: str = "safe") -> Any:
        if typ == "safe":
            with contextlib.suppress(_yaml.YAMLFileCorruptedError):  # said below, with the path
                return pickle.loads(_pickled(text))
        return originals[0](text, path, typ)

    def get(values: Any, path: str, separator: str) -> Any:
        found = values
        for part in path.split(separator):
            if not isinstance(found, dict) or part not in found:
                return dpath.get(values, path, separator=separator)  # patterns, lists, and the error
            found = found[part]
        return found

    for place in places:
        place.parse_yaml = parse  # ty: ignore[invalid-assignment]
    param.dpath = SimpleNamespace(get=get, search=dpath.search)  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        for place, original in zip(places, originals, strict=True):
            place.parse_yaml = original  # ty: ignore[invalid-assignment]
        param.dpath = dpath  # ty: ignore[invalid-assignment]


def remember(*files: Path) -> None:
    """Parse these files now, for the processes that are forked from this one; what cannot be read is left to them."""
    for file in files:
        with contextlib.suppress(Exception):
            _pickled(file.read_text(encoding="utf-8"))


@functools.lru_cache(maxsize=32)
def _pickled(text: str) -> bytes:
    """What DVC makes of a text. Pickled, as a copy of it is then quicker than of the values, which DVC changes."""
    from dvc.utils.serialize._yaml import YAMLFileCorruptedError
    from ruamel.yaml import YAML
    from ruamel.yaml import YAMLError as AnyError

    try:
        return pickle.dumps(YAML(typ="safe").load(text) or {}, pickle.HIGHEST_PROTOCOL)
    except AnyError as error:
        raise YAMLFileCorruptedError("") from error
