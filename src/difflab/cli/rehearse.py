"""`difflab rehearse`: a profile from acquiring to the report, offline, with stand-ins of what it fetches."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.cli import compose
from difflab.cli.plan import hub_models
from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import addresses, parse_yaml
from difflab.rehearsal import archives, few, inception, performance, published, standins
from difflab.rehearsal.workspace import ARCHIVES, Workspace

if TYPE_CHECKING:
    from difflab.models.params import HubRef

TABLE = "stages.csv"
_GROUPS = ("profile", "base", "hardware", "experiment")
_REDUCED_GB, _RESULTS_GB = 4.0, 40.0  # of disk: a reduced rehearsal in all; the results of one at full size
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
Say = Callable[[str], None]


def rehearse(
    overrides: Sequence[str], sizes: few.Sizes, folder: Path | None, say: Say, jobs: int | None = None
) -> bool:
    """Rehearse the profile that Hydra overrides name; whether every stage ran.

    Args:
        folder: where; None: beside the repository.
        say: takes each line of progress.
        jobs: stages at once, as `difflab repro` has it.

    Raises:
        DifflabError: a size, the folder or its disk will not do, there is no such profile, or a model of it is not known.
    """
    began, root = time.monotonic(), Path.cwd()
    published.check_size(sizes.width or published.HEAD, sizes.size)
    if sizes.images < archives.LEAST_IMAGES:
        raise DifflabError(
            f"--images is {sizes.images}: the split needs {archives.LEAST_IMAGES} to have some in each part"
        )
    values = parse_yaml(compose.compose(overrides), "the composed parameters")
    params = compose.validate(compose.compose(overrides), "the composed parameters")
    hubs = models_of(params)
    needed = _REDUCED_GB if sizes.width else _RESULTS_GB + sum(map(gigabytes, hubs))
    place = Workspace(folder or root.resolve().parent / f"{root.resolve().name}-rehearsal")
    settings = {"overrides": list(overrides), **sizes._asdict()}
    again = place.claim(root, settings, needed)
    say(f"rehearsing the profile {params.profile} in {place.folder}" + (", going on" if again else ""))
    values, paths = parameters(values, overrides, sizes)
    text = _yaml(values)
    compose.validate(text, "the parameters of the rehearsal")
    for line in _prepare(place, hubs, paths, params, sizes):
        say(line)
    place.copy(root, text)
    stages = addresses(str(place.repository / "dvc.yaml"), values)
    say(f"running {len(stages)} stages offline; log: {place.folder / performance.LOG}")
    outcomes, _ = performance.perform(place, () if jobs is None else ("--jobs", str(jobs)), say)
    rows = performance.performed(place, stages, outcomes)
    _write_table(place.folder / TABLE, rows)
    say(f"\n{performance.table(rows)}\nthe same as a table: {place.folder / TABLE}")
    minutes = (time.monotonic() - began) / 60
    say(verdict(rows, params.profile, minutes, place.folder / performance.LOG))
    return all(row.outcome == performance.RAN for row in rows)


def models_of(params: Any) -> list["HubRef"]:
    """The released models of a profile, each repository once; the mirror of one that was withdrawn.

    Raises:
        DifflabError: the configuration of one is not known.
    """
    found: dict[tuple[str, str | None], HubRef] = {}
    refs = [model.hub for model in hub_models(params)] + ([params.sweep.clip] if params.sweep.clip else [])
    for hub in refs:
        if Path(hub.repo_id).is_dir():  # the user's own
            continue
        if hub.fallback is not None:
            hub = hub.model_copy(update={"repo_id": hub.fallback.repo_id, "revision": hub.fallback.revision})
        published.repository(hub.repo_id)
        found.setdefault((hub.repo_id, hub.revision), hub)
    return list(found.values())


def gigabytes(hub: "HubRef") -> float:
    """The size of a repository's weights."""
    own = published.repository(hub.repo_id)
    parts = [published.part(name) for name in own["models"].values()]
    return (
        sum(standins.parameters(p["class"], p["config"], p.get("options")) for p in parts) * _BYTES[own["dtype"]] / 1e9
    )


def parameters(
    values: Mapping[str, Any], overrides: Sequence[str], sizes: few.Sizes
) -> tuple[dict[str, Any], dict[str, str]]:
    """The composed parameters with few steps and pictures, but for what overrides give; the paths of all archives."""
    small = few.reduced(values, sizes)
    paths = few.with_data_root(small, sizes.images)
    few.on_this_machine(small, sizes)
    small["data"]["data_root"] = f"../{ARCHIVES.format(*sizes)}"  # of another name where its pictures are others
    small["zoo"]["rulers"] = "retrain"  # committed ones are for other pictures
    for override in overrides:
        name = override.partition("=")[0].lstrip("+")
        if name not in _GROUPS and not name.startswith("~"):
            _copy(name.split("."), values, small)
    classifiers = small["zoo"]["classifier"]
    paths |= {n: c["weights"] for n, c in ((f"weights of {n}", classifiers[n]) for n in ("cifar10", "mnist"))
        if (c | {"weights": c.get("weights")})["weights"]}  # fmt: skip
    return small, paths


def _copy(path: list[str], source: Mapping[str, Any], target: dict[str, Any]) -> None:
    *groups, last = path
    for group in groups:
        source, target = source[group], target.setdefault(group, {})
    target[last] = source[last]


def _prepare(
    place: Workspace, hubs: list["HubRef"], paths: dict[str, str], params: Any, sizes: few.Sizes
) -> Iterator[str]:
    """Write what is not there yet; a line for each."""
    from difflab.core.base.roles import cached_snapshot

    for name in archives.write(place.archives(sizes), paths, sizes.images, sizes.size):
        yield f"archive: {name}"
    for hub in hubs:
        released = cached_snapshot(hub.model_copy(update={"allow_patterns": None, "subfolder": None}))
        device = "cuda" if sizes.width is None else "cpu"
        started = time.monotonic()
        if standins.write(place.hub, hub, sizes.width, sizes.size, released, device):
            yield f"stand-in: {hub.repo_id} ({time.monotonic() - started:.1f} s)"
    if params.score.extractor == "inception":
        from difflab.metrics.features.inception import WEIGHTS

        inception.write(place.torch / "hub" / "checkpoints" / WEIGHTS)


def _yaml(values: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(values), sort_keys=False)


def _write_table(path: Path, rows: list[performance.Performed]) -> None:
    import pandas as pd

    pd.DataFrame(rows, columns=performance.Performed._fields).to_csv(path, index=False)


def verdict(rows: list[performance.Performed], profile: str, minutes: float, log: Path) -> str:
    """One line: that all ran, or the first stage that would stop a run, why, and what it keeps from running."""
    failed = [row.stage for row in rows if row.outcome == performance.FAILED]
    waited = [row.stage for row in rows if row.outcome == performance.WAITED]
    ran, took = len(rows) - len(failed) - len(waited), f"stages of profile {profile} in {minutes:.1f} min"
    if ran == len(rows):
        return f"rehearsed {ran} {took}: all ran"
    head = f"rehearsed {ran} of {len(rows)} {took}"
    if not failed:
        return f"{head}: {', '.join(waited)} did not run: see {log}"
    others = [f"so would {', '.join(failed[1:])}"] if failed[1:] else []
    others += [f"they keep {len(waited)} others from running"] if waited else []
    why = performance.error_of(failed[0], log)
    return "; ".join([f"{head}: {failed[0]} would stop the run: {why}", *others, f"log: {log}"])
