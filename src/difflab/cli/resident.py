"""Stages without their start: this process imports the libraries once, and each stage is forked from it.

A child does what `python -m dvc` does with its arguments, with DVC's own locks and files; the stage's command,
`python -m stages.<study>.<name> ...`, is forked from it in turn. Of the project itself a stage inherits nothing: it
imports its own code. Results are the bytes that the same commands give from a shell.
"""

import atexit
import contextlib
import gc
import importlib
import os
import re
import runpy
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from difflab.cli.lock_file import written_quickly
from difflab.cli.parsed_files import parsed_once, remember
from difflab.core.base import numerics, runtime

# What most stages and DVC around them import, and what they take from packages that load their parts late.
LIBRARIES = (
    "dvc.cli.parser", "dvc.stage.run", "dvc.repo.reproduce", "dvc.repo.stage", "dvc.repo.index", "dvc.repo.plots",
    "dvc.repo.metrics", "dvc.repo.params", "dvc.repo.artifacts", "dvc.repo.datasets", "dvc.dvcfile", "dvc.parsing",
    "dvc.data_cloud", "dvc.cachemgr", "dvc.compare", "dvc.rwlock", "dvc.analytics", "dvc_http", "dvc_data.hashfile.status",
    "scmrepo.git", "networkx",
    "pydantic", "torch", "torch.utils.flop_counter", "accelerate:Accelerator", "peft", "pandas", "pyarrow.parquet",
    "scipy.stats", "scipy.optimize", "scipy.ndimage", "sklearn.model_selection", "skimage.metrics", "matplotlib.figure",
    "diffusers:StableDiffusionPipeline", "diffusers:UNet2DModel", "diffusers:UNet2DConditionModel",
    "diffusers.models:AutoencoderKL", "diffusers.models:SD3Transformer2DModel", "diffusers.optimization",
    "diffusers.schedulers:DPMSolverMultistepScheduler", "diffusers.training_utils",
    "transformers.models.vit.modeling_vit", "transformers:CLIPTextModelWithProjection", "transformers:T5EncoderModel",
    "transformers:LlamaForCausalLM", "transformers:AutoModelForCausalLM", "transformers:AutoProcessor",
    "transformers:Blip2ForConditionalGeneration", "transformers.generation.logits_process",
)  # fmt: skip
_PROJECT = ("difflab", "stages")


def prepare(num_threads: int) -> None:
    """Set what the libraries read from the environment when they are imported, as a stage does; call it first."""
    atexit.register(_end)  # the first to be registered is the last to run
    numerics.pin(numerics.mode())
    os.environ.setdefault("TQDM_DISABLE", "1")  # what a stage prints is read from a pipe
    runtime.configure(num_threads)


def preload() -> None:
    """Import the libraries and read the pipeline. Nothing is computed, so that no thread stands in a fork's way."""
    for name in LIBRARIES:
        module, _, attribute = name.partition(":")
        with contextlib.suppress(ImportError):  # the stage that needs it says so
            getattr(importlib.import_module(module), attribute or "__name__")
    remember(Path("dvc.yaml"), Path("params.yaml"))
    gc.collect()
    gc.freeze()  # the children's collections leave it alone


def fork_dvc(arguments: Sequence[str], environment: Mapping[str, str], unused: Iterable[int] = ()) -> tuple[int, int]:
    """Start `dvc <arguments>` as a forked child.

    Args:
        environment: variables to set in it.
        unused: descriptors that it closes.

    Returns:
        its process id, and the descriptor that gives what it and its stage print.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    if pid := os.fork():
        os.close(write)
        return pid, read
    code = 255
    try:
        os.dup2(write, 1)
        os.dup2(write, 2)
        for descriptor in (*unused, read, write):
            os.close(descriptor)
        code = _dvc(arguments, environment)
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code, handlers=False)


def _dvc(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    import dvc.cli
    import dvc.stage.run

    original = dvc.stage.run._run

    def run(executable: str | None, cmd: str, **options: Any) -> None:
        if (words := stage_command(cmd)) is None:
            original(executable, cmd, **options)
        else:
            _run_stage(cmd, words, options["cwd"], options["env"])

    _signals_as_in_a_new_process()
    os.environ.update(environment)
    sys.argv = ["dvc", *arguments]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # ty: ignore[missing-union-attribute]
    dvc.stage.run._run = run  # ty: ignore[invalid-assignment]
    with written_quickly(), parsed_once():
        return dvc.cli.main(list(arguments))


def stage_command(cmd: str) -> list[str] | None:
    """The module and arguments of `python -m stages.<study>.<name> ...`; none for any other command."""
    words = shlex.split(cmd) if re.fullmatch(r"python -m stages\.[\w.@=,/+ -]+", cmd) else []
    return words[2:] or None


def _run_stage(cmd: str, words: list[str], folder: str, environment: Mapping[str, str]) -> None:
    """What DVC's own `_run` does, with a fork in place of a new program."""
    from dvc.stage.exceptions import StageCmdFailedError

    sys.stdout.flush()
    sys.stderr.flush()
    if not (pid := os.fork()):
        become(words, folder, environment)
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the stage stops, and DVC sees it
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        signal.signal(signal.SIGINT, previous)
    if code:
        raise StageCmdFailedError(cmd, code)


def become(words: Sequence[str], folder: str, environment: Mapping[str, str]) -> NoReturn:
    """Be `python -m <words>` in a folder and an environment, to the end of this process."""
    code = 1
    try:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        _signals_as_in_a_new_process()
        for name in [name for name in sys.modules if name.partition(".")[0] in _PROJECT]:
            del sys.modules[name]
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()  # of its own, as `random` sees to itself
        sys.path.insert(0, folder)
        sys.argv = list(words)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(code, handlers=True)


def _leave(code: int, handlers: bool) -> NoReturn:
    """End this child and never return into the code of its parent; with `handlers` as an interpreter ends."""
    with contextlib.suppress(BaseException):
        if handlers:
            threading._shutdown()  # ty: ignore[missing-attribute]
            if last := getattr(sys.modules.get("stages"), "_end", None):  # which would leave out the libraries' own
                atexit.unregister(last)
            atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _end() -> None:
    """End this process with its own status; to take the libraries apart costs a second, and makes them complain."""
    if runtime.exit_status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(runtime.exit_status)


def _signals_as_in_a_new_process() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
