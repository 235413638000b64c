"""The folder of a rehearsal: a copy of the repository, archives, stand-ins of models. Nothing is written elsewhere.

FOLDER/repository   code, configuration and params.yaml of the rehearsal, its own DVC cache and results
FOLDER/archives     data roots
FOLDER/hf, torch    caches in the layout of the Hugging Face Hub and of torch.hub
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, write_json, write_text

if TYPE_CHECKING:
    from difflab.rehearsal.few import Sizes

MARKER = "rehearsal.json"
ARCHIVES = "archives/{0}-images-{2}-px"  # of the fields of `few.Sizes`
_RESULTS = ("dvc.lock", "params.yaml", "metrics/", "plots/", "reports/", "data/", "models/", "docs/", "tests/")
_FOREIGN = (
    "MLFLOW_TRACKING_URI",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_CACHE",
    "DVC_ROOT",
    "DVC_STAGE",
    "DIFFLAB_DATA",
)


class Workspace:
    """The places of a rehearsal in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.repository = self.folder / "repository"
        self.hub = self.folder / "hf" / "hub"
        self.torch = self.folder / "torch"

    def archives(self, sizes: "Sizes") -> Path:
        """The data root, one for each number and size of pictures."""
        return self.folder / ARCHIVES.format(*sizes)

    def claim(self, root: Path, settings: Mapping[str, Any], gigabytes: float) -> bool:
        """Take the folder; whether the same rehearsal began there before.

        Raises:
            DifflabError: it lies in the repository `root`, holds something else or another rehearsal that runs, or its disk
                has less room.
        """
        if self.folder == root.resolve() or root.resolve() in self.folder.parents:
            raise DifflabError(f"--folder is {self.folder}, inside the repository: take one outside, as ../rehearsal")
        if self.folder.exists() and not self.folder.is_dir():
            raise DifflabError(f"--folder is {self.folder}, which is a file: take another one")
        marker = self.folder / MARKER
        if self.folder.exists() and any(self.folder.iterdir()) and not marker.exists():
            raise DifflabError(f"{self.folder} is not empty and holds no rehearsal: give --folder another place")
        above = next(p for p in (self.folder, *self.folder.parents) if p.exists())
        if (free := shutil.disk_usage(above).free / 1e9) < gigabytes:
            raise DifflabError(
                f"{above} has {free:.1f} GB free, the rehearsal needs about {gigabytes:.0f}: free some, or give --folder "
                "on another disk"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DifflabError(
                f"another rehearsal runs in {self.folder}: wait for it, or give --folder another place"
            ) from None
        again = marker.exists() and read_json(marker) == settings
        write_json(marker, settings)
        return again

    def copy(self, root: Path, params: str) -> None:
        """Bring the copy of the repository up to date: its files as they lie in `root`, without results."""
        listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        names = {n for n in listed if n and not n.startswith(_RESULTS) and (root / n).is_file()}
        new = not (self.repository / ".git").exists()
        for name in sorted(names):
            source, target = root / name, self.repository / name
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
        for top in ("src", "stages", "conf", "rulers"):
            for file in filter(Path.is_file, (self.repository / top).rglob("*")):
                if "__pycache__" not in file.parts and file.relative_to(self.repository).as_posix() not in names:
                    file.unlink()
        write_text(self.repository / "params.yaml", params)
        if new:
            _git(self.repository, "init", "-q")
            _git(self.repository, "add", "-A")
            who = ("-c", "user.name=rehearsal", "-c", "user.email=rehearsal@localhost")
            _git(self.repository, *who, "commit", "-q", "--no-verify", "-m", "rehearsal")

    def environment(self) -> dict[str, str]:
        """Of the programs that run in the copy: no network, no account, no folder of the user's."""
        kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        return kept | {
            "PATH": path, "PYTHONPATH": str(self.repository / "src"), "DVC_NO_ANALYTICS": "1",
            "HF_HOME": str(self.folder / "hf"), "HF_HUB_OFFLINE": "1", "TORCH_HOME": str(self.torch),
        }  # fmt: skip


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it failed"])[-1]
        raise DifflabError(f"git {arguments[0]} in {folder}: {reason}")
    return done.stdout
