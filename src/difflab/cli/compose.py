"""params.yaml from conf/, byte for byte as `dvc exp run` writes it."""

import contextlib
import difflib
import itertools
import re
import runpy
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast

from difflab.core.base.errors import DifflabError, suggestion
from difflab.core.params.loading import check_params, dotted, parse_yaml

_OVERRIDE = re.compile(r"[+~]{0,2}[\w./@]+=|~[\w./@]+$")  # the last takes a value away


def compose(overrides: Sequence[str] = (), conf: Path = Path("conf")) -> str:
    """The text of params.yaml for these Hydra overrides, e.g. `profile=paper` or `finetune.lora.rank=8`.

    Raises:
        DifflabError: there is no such profile, experiment or parameter, or a value cannot be read.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not (conf / "config.yaml").exists():
        raise DifflabError(f"{conf}/config.yaml is missing: run this in the root of the repository")
    for override in overrides:
        if not _OVERRIDE.match(override):
            raise DifflabError(
                f"-S '{override}' is no value of a parameter: write -S KEY=VALUE, as finetune.lora.rank=8"
            )
        group, _, value = override.partition("=")
        if group in ("profile", "base", "hardware", "experiment") and value not in (known := choices(group, conf)):
            raise DifflabError(f"there is no {group} '{value}', only {', '.join(known) or 'none'}")
    for plugin in (conf / "hydra_plugins").glob("*.py"):
        runpy.run_path(str(plugin))
    try:
        with _libyaml(), initialize_config_dir(str(conf.resolve()), version_base=None):
            config = hydra_compose(config_name="config", overrides=list(overrides))
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        message = _one_line(error)
        if several := re.match(r"Sweep parameters '(.+?)' requires", message):
            raise DifflabError(
                f"-S {several[1]} names several values: `dvc exp run --queue` runs one experiment for each"
            ) from None
        if sweep := re.match(r"Ambiguous value for argument '(.+?)=(.*?)'", message):
            raise DifflabError(
                f"-S {sweep[1]}={sweep[2]} names several values: `dvc exp run --queue` runs one experiment for each; "
                f"for one list write -S '{sweep[1]}=[{sweep[2]}]'"
            ) from None
        if unknown := re.match(r"Could not override '(.+?)'.*is not in struct", message):
            known = dotted(cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.create(compose(conf=conf)))))
            raise DifflabError(f"unknown parameter '{unknown[1]}'{suggestion(unknown[1], known)}") from None
        if isinstance(error, OverrideParseException):  # it tells of its grammar
            raise DifflabError(
                f"-S '{error.override}' cannot be read: what holds more than ASCII letters, figures and / . - _ stands "
                "in quotes of its own, as -S 'data.own=\"~/my pictures\"', and a bracket is closed"
            ) from None
        raise DifflabError(f"-S {' '.join(overrides)}: {message}") from None
    return OmegaConf.to_yaml(config)


def validate(text: str, source: str) -> Any:
    """The checked parameters of a params.yaml given as text; `source` is what an error says it came from."""
    from difflab.bundled_limits import check_bundled

    params = check_params(parse_yaml(text, source), source)
    check_bundled(params, source)
    return params


@contextlib.contextmanager
def _libyaml() -> Generator[None]:
    """Let Hydra parse its sixty files with LibYAML: most of the time of a composition goes into parsing them in Python."""
    import yaml

    original = yaml.SafeLoader  # OmegaConf takes it by this name for each file
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", original)
    try:
        yield
    finally:
        yaml.SafeLoader = original


def choices(group: str, conf: Path = Path("conf")) -> list[str]:
    """The names of a configuration group, sorted."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))


def difference(new: str, old: str, path: str = "params.yaml") -> str:
    """The first lines of a diff between a file and what it should be; empty where equal."""
    diff = difflib.unified_diff(old.splitlines(), new.splitlines(), path, "what it should be", n=0, lineterm="")
    return "\n".join(itertools.islice(diff, 20))


def _one_line(error: Exception) -> str:
    """The causes of a Hydra error, innermost last, without its advice for authors of configurations."""
    causes: list[str] = []
    current: BaseException | None = error
    while current is not None:
        causes.append(str(current).split("To append to your config")[0].split("full_key:")[0])
        current = current.__cause__
    return re.sub(r"\s+", " ", ": ".join(dict.fromkeys(causes))).strip()
