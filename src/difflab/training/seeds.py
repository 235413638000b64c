"""Several trainings of one cell in one stage: one seed after the other, and a finished one is never trained again.

    folders = train_seeds(settings.seeds, train, kept=stage.kept("finetune.seeds"), scratch=stage.scratch(), ...)
    write_csv("plots/finetune/blip2-zero.csv", seed_curves(folders), gaps=CURVE_GAPS)

A longer list of seeds, or a run that was stopped, trains only those that are missing.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from difflab.core.base import runtime
from difflab.core.base.damage import remove_damaged
from difflab.core.base.files import atomic_path, read_parquet, write_parquet
from difflab.training import shares
from difflab.training.curve import CURVE_GAPS

if TYPE_CHECKING:
    import pandas as pd

    from difflab.training.curve import Row
    from difflab.training.loop import Log

CURVE = "curve.parquet"
Save = Callable[[Path], object]
"""Writes what a training gave into a folder, its curve (`save_curve`) among it."""


def train_seeds(
    seeds: Sequence[int], train: Callable[[int], Save], *, kept: Path, scratch: Path, what: str, log: "Log"
) -> dict[int, Path]:
    """Train the seeds that are not kept, in ascending order, each in a folder `seed-<n>`; see `train_all`.

    Args:
        train: trains one seed.
        kept: `stage.kept("<group>.seeds")`.

    Returns:
        The folder of each seed, in ascending order.
    """
    named = {f"seed-{seed}": partial(train, seed) for seed in sorted(seeds)}
    folders = train_all(named, kept=kept, scratch=scratch, what=what, log=log)
    return dict(zip(sorted(seeds), folders.values(), strict=True))


def train_all(
    trainings: Mapping[str, Callable[[], Save]], *, kept: Path, scratch: Path, what: str, log: "Log"
) -> dict[str, Path]:
    """Train what is not kept, in order; of a kept one the curve is logged again.

    Args:
        trainings: by their names, trains (its state under a name of its own, so that a stopped one is resumed) and
            returns what saves it. Every process of a launcher trains, the main one saves.
        kept: `stage.kept` but for the parameters that list the trainings.
        scratch: `stage.scratch()`.
        what: the cell, for the line that says what was kept.
        log: the run's; see `named_log`.

    Returns:
        The folder of each training, of its name; in further processes of a launcher they may not be there yet, and
        there is nothing more to do.
    """
    folders = {name: kept / name for name in trainings}
    main = runtime.process_index()[0] == 0
    there = shares.from_main({name for name, folder in folders.items() if _is_whole(folder)} if main else set())
    for name, train in trainings.items():
        folder = folders[name]
        if name in there:
            print(f"{what}-{name}: kept from an earlier run", flush=True)
            _log_again(folder, named_log(log, name))
            continue
        save = train()
        if not main:
            continue
        with atomic_path(scratch / name) as made:
            save(made)
        with contextlib.suppress(OSError):  # a queued experiment has just kept the same bytes
            (scratch / name).rename(folder)
    return folders


def _is_whole(folder: Path) -> bool:
    """Whether a kept training can be read; a damaged one is removed, with a line that says so."""
    remove_damaged(folder, f"{folder.name} is trained again")
    return folder.exists()


def save_curve(folder: Path, rows: "list[Row]") -> None:
    import pandas as pd

    write_parquet(folder / CURVE, pd.DataFrame(rows), gaps=CURVE_GAPS)


def seed_curves(folders: Mapping[int, Path]) -> "pd.DataFrame":
    """The curves of all seeds, one below the other, with a first column `seed`."""
    import pandas as pd

    return pd.concat([pd.DataFrame({"seed": seed, **read_parquet(f / CURVE)}) for seed, f in folders.items()])


def seed_metrics(results: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Flat metrics of values by seed: `<name>`, the mean over seeds, then each seed's own `seed_<n>_<name>`."""
    import pandas as pd

    own = {f"seed_{seed}_{name}": value for seed, values in results.items() for name, value in values.items()}
    return {**pd.DataFrame(results).T.mean(), **own}


def seed_log(log: "Log", seed: int) -> "Log":
    """Logs the curves of one seed beside those of the others: `seed-0/val_loss`."""
    return named_log(log, f"seed-{seed}")


def named_log(log: "Log", name: str) -> "Log":
    """Logs the curves of one training beside those of the others: `<name>/val_loss`."""
    return lambda values, step: log({f"{name}/{key}": value for key, value in values.items()}, step=step)


def _log_again(folder: Path, log: "Log") -> None:
    for row in read_parquet(folder / CURVE).to_dict("records"):
        step = row.pop("step")
        log({name: value for name, value in row.items() if value == value and name != "samples_seen"}, step=step)
