"""What every stage does around its own work: parameters, tracking, a scratch folder, clear errors, a last line.

A stage script is
    def main(stage: Stage[FinetuneInputs], *, captions: str) -> None: ...
    if __name__ == "__main__":
        run(main)
and is started as `python -m stages.<name> --captions blip2`.
"""

import argparse
import contextlib
import fcntl
import hashlib
import inspect
import itertools
import json
import os
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import IO, Any, Generic, Literal, TypeVar, cast

from difflab.core import environment, tracking
from difflab.core.base import processes, runtime
from difflab.core.base.errors import DifflabError, Interrupted, one_line
from difflab.core.base.files import sha256_file, write_json
from difflab.core.params import Declared, load_params
from difflab.core.params.base import dotted
from difflab.core.params.loading import declared_groups, parse_yaml, stage_entry

Inputs = TypeVar("Inputs")


class Stage(Generic[Inputs]):
    """The running stage: its parameters, its tracked run and its scratch folder.

    Attributes:
        item: the matrix item, e.g. {"captions": "blip2", "logit_mean": "minus"}; empty for a plain stage.
        params: the declared parameter groups, as `Inputs` types them; any other group is an error.
        run: the tracked MLflow run (`log_metrics`); never raises.
        versions: of the libraries, as locked.
    """

    def __init__(self, name: str, item: dict[str, str], variant: str = "") -> None:
        self.name, self.item = name, item
        self.entry_name = variant or name
        self.groups = declared_groups(self.entry_name, item)
        params = load_params()
        self.params = cast("Inputs", Declared(params, self.entry_name, self.groups))
        self.versions = params.environment.versions
        self.run = tracking.NoRun()
        self._started = time.perf_counter()
        self._locks: list[IO[str]] = []
        self._scratch: Path | None = None
        self._content: dict[str, str] | None = None

    @property
    def address(self) -> str:
        """The name as DVC writes it: `finetune@blip2-minus`."""
        of_matrix = self.item and self.entry_name == self.name  # a stage run with --as has no matrix of its own
        return self.entry_name + ("@" + "-".join(self.item.values()) if of_matrix else "")

    def values(self) -> dict[str, Any]:
        """The declared values by group, as plain data."""
        return cast("Declared", self.params).as_dict()

    def fingerprint(self, *without: str) -> str:
        """A hash of the declared parameters, the matrix item and the content of every dependency (data and code).

        It does not know `runtime.processes`: any number of them goes on with what another number has left.

        Args:
            without: the dotted names of parameters that are left out.
        """
        if self._content is None:
            deps = stage_entry(self.entry_name, self.item).get("deps", [])
            known = _locked_hashes() if os.environ.get("DVC_STAGE") else {}
            if missing := [dep for dep in deps if dep not in known and not Path(dep).exists()]:
                raise DifflabError(f"{missing[0]} is missing: run `dvc repro` (or `dvc pull`) to make it")
            self._content = {dep: known.get(dep) or sha256_file(dep) for dep in deps}
        values = {
            name: value for name, value in dotted(self.values()).items() if name not in (*without, "runtime.processes")
        }
        text = json.dumps([self.address, values, self._content], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def kept(self, *without: str) -> Path:
        """The folder for finished parts of the result, which stays after the stage: `.scratch/<stage>/kept-<fingerprint>`.

        Several processes may use it at the same time: write a part elsewhere and rename it.

        Args:
            without: the parameters that list the parts: with other values of them, those that are there are found again.
        """
        folder = (
            Path(os.environ.get("DVC_ROOT", ".")) / ".scratch" / self.address / f"kept-{self.fingerprint(*without)}"
        )
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratch(self) -> Path:
        """The folder for resumable state, `.scratch/<stage>/<fingerprint>` under DVC_ROOT, held under a lock.

        So are the stage's outputs in this workspace, whatever its parameters. Where another workspace (a queued
        experiment) works on the same state at this moment, a folder beside it: both make the same outputs.

        Raises:
            DifflabError: another live process makes the same outputs; its pid is named.
        """
        if self._scratch is None:
            root = Path(os.environ.get("DVC_ROOT", "."))
            self._scratch = root / ".scratch" / self.address / self.fingerprint()
            if runtime.process_index()[0] == 0:  # held for the whole launch
                self._scratch = self._hold(self._scratch)
                self.run.resume(self._scratch)
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch

    def _hold(self, state: Path) -> Path:
        """Lock the outputs of this workspace and a state for this process until it ends; returns that state."""
        outputs = Path(".scratch/running") / self.address
        held = None if self._lock(outputs) else outputs
        beside = (state.with_name(f"{state.name}-{number}") for number in itertools.count(2))
        while held is None and not self._lock(state):
            if runtime.process_index()[1] > 1:  # the others of this launch know the first folder only
                held = state
            else:
                state = next(beside)
        if held is not None:
            pid = (held / "lock").read_text().strip()
            raise DifflabError(
                f"{self.address} is already running as process {pid}: wait for it, or end that process, then run again"
            )
        return state

    def _lock(self, folder: Path) -> bool:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        if not os.fstat(lock.fileno()).st_nlink:  # its owner has ended and removed the folder
            lock.close()
            return self._lock(folder)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._locks.append(lock)
        return True

    def write_metrics(self, path: str | Path, metrics: Mapping[str, float | str | None]) -> None:
        """Write a flat metrics file (keys in the given order, numbers rounded to 6 significant digits) and track it."""
        flat = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in metrics.items()}
        write_json(path, flat)
        self.run.log_metrics({k: v for k, v in flat.items() if isinstance(v, int | float)})

    def done(self, message: str) -> None:
        """Print the final line: what was written and the headline number."""
        seconds = time.perf_counter() - self._started
        print(f"{self.address}: {message} ({seconds:.1f} s)", flush=True)

    def _finish(self) -> None:
        if self._locks and self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            for lock in self._locks:
                lock.close()


def _locked_hashes() -> dict[str, str]:
    """The hashes of other stages' outputs, as DVC has just found them: data need not be read again."""
    lock = Path("dvc.lock")
    if not lock.exists():
        return {}
    try:
        stages = (parse_yaml(_read_alone(lock), str(lock)) or {}).get("stages", {})
        return {out["path"]: out["md5"] for s in stages.values() for out in s.get("outs", []) if "md5" in out}
    except (DifflabError, AttributeError, KeyError, TypeError, ValueError):
        raise DifflabError(f"{lock} is damaged: `git checkout {lock}` brings it back") from None


def _read_alone(path: Path, guard: Path = Path(".dvc/tmp/lock"), limit: float = 10.0) -> str:
    """The text of a file that DVC rewrites under its lock `guard`, between two such writes.

    A command that holds the lock for longer than `limit` seconds is a transfer, which does not write the file.
    """
    if not guard.exists():
        return path.read_text()
    with guard.open() as stream:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        return path.read_text()


def run(main: Callable[..., None], *, split: bool = False) -> None:
    """Run a stage script's `main(stage, *, <matrix keys>)` as a program and exit with its status.

    Args:
        split: its work can be shared: `runtime.processes` says by how many (`difflab.core.base.processes`).
    """
    started = time.perf_counter()
    name = Path(inspect.getfile(main)).stem
    item, variant = _parse(name, main)

    warnings.formatwarning = lambda message, *_, **__: f"WARNING {name}: {message}\n"  # ty: ignore[invalid-assignment]
    stage: Stage[Any] | None = None
    status, code, here = "FAILED", 1, True
    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on there is something to save
    try:
        if runtime.process_index()[0] > 0:  # the main process speaks for all
            sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
            warnings.simplefilter("ignore")
        stage = Stage(name, item, variant)
        here = (count := _begin(stage, split)) == 1
        if here:
            main(stage, **item)
            stage._finish()
        else:
            processes.launch([*_program(name, main), *sys.argv[1:]], count)
        status, code = "FINISHED", 0
    except (Interrupted, KeyboardInterrupt) as stop:
        _tell(f"{name}: {str(stop) or 'stopped'}", "stop")
        status, code = "KILLED", 130
    except processes.Ended as end:
        print(end, file=sys.stderr, flush=True)
        status, code = "KILLED" if end.status == 130 else "FAILED", end.status
    except processes.PeerEnded:
        time.sleep(2)  # the launcher ends this process as soon as it sees the other one's end
    except Exception as error:
        if (line := one_line(error)) is None:
            _tell(traceback.format_exc(), "error")
        else:
            _tell(f"ERROR {name}: {line}", "error")
    finally:
        if stage is not None:
            with contextlib.suppress(KeyboardInterrupt):  # the recording process ends by itself
                stage.run.end(status)
            if (here or code) and runtime.process_index()[0] == 0:  # of a launch, the main process notes its own
                _note_time(stage, time.perf_counter() - started, status)
    runtime.exit_status = code
    sys.exit(code)


def _begin(stage: Stage[Any], split: bool) -> int:
    """Set up this process for the stage's work; returns how many it takes, 1 for this one alone."""
    machine = stage.params.runtime if "runtime" in stage.groups else None
    runtime.configure(machine.num_threads, machine.dtype) if machine else runtime.configure(1)
    if split and machine and (wanted := processes.wanted(machine.processes, machine.device)) > 1:
        return wanted
    if not split and runtime.process_index()[1] > 1:
        raise DifflabError(f"{stage.name} works in one process: start it without a launcher")
    _warn_of_other_libraries(stage)
    stage.run = tracking.start(stage)
    return 1


def _tell(text: str, why: Literal["error", "stop"]) -> None:
    """Say how the stage ended, or leave it to the process that started this one."""
    if not processes.say(text, why):
        print(text, file=sys.stderr, flush=True)


def _warn_of_other_libraries(stage: Stage[Any]) -> None:
    used = [lib for name, libs in environment.GROUPS.items() if f"environment.{name}" in stage.groups for lib in libs]
    if runtime.process_index()[0] == 0 and (differing := environment.mismatches(stage.versions, used)):
        warnings.warn(
            f"{', '.join(differing)}: results may differ; `make setup` installs the locked versions", stacklevel=2
        )


def _program(name: str, main: Callable[..., None]) -> list[str]:
    """What follows `python` to start this stage's script."""
    spec = cast("FunctionType", main).__globals__["__spec__"]
    return ["-m", spec.name if spec else f"stages.{name}"]


def _parse(name: str, main: Callable[..., None]) -> tuple[dict[str, str], str]:
    script = cast("FunctionType", main).__globals__
    parser = argparse.ArgumentParser(prog=f"python {' '.join(_program(name, main))}", description=script["__doc__"])
    for key in list(inspect.signature(main).parameters)[1:]:
        parser.add_argument(f"--{key.replace('_', '-')}", dest=key, required=True)
    parser.add_argument("--as", default="", help="take parameters and dependencies of this dvc.yaml stage")
    values = vars(parser.parse_args())
    return values, values.pop("as")


def _note_time(stage: Stage[Any], seconds: float, status: str) -> None:
    """Keep wall time and peak memory of each stage's last run under .scratch (they never go into outputs)."""
    path = Path(os.environ.get("DVC_ROOT", "."), ".scratch", "times", f"{stage.address}.json")
    try:
        write_json(path, {"seconds": round(seconds, 1), "status": status, **runtime.peak_memory()})
    except (OSError, DifflabError) as error:
        warnings.warn(f"its time is not noted: {one_line(error) or error}", stacklevel=2)
