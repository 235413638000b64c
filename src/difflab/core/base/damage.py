"""Whether files of an interrupted run can be read: what cannot is made again."""

import shutil
from pathlib import Path

from difflab.core.base.errors import Unreadable
from difflab.core.base.files import read_json, read_parquet, read_tensor_facts, read_zip, read_zip_names


def _read_zip(path: Path) -> None:
    for _ in read_zip(path, read_zip_names(path)):  # which compares the checksum of each file
        pass


_READERS = {
    ".json": read_json,
    ".parquet": read_parquet,
    ".safetensors": read_tensor_facts,
    ".zip": _read_zip,
    ".npz": _read_zip,
}


def remove_damaged(path: Path, then: str) -> None:
    """Remove a file, or a folder, that holds something unreadable, with a line that ends with `then`."""
    try:
        for file in (path, *path.rglob("*")):
            if file.suffix in _READERS and file.is_file():
                _READERS[file.suffix](file)
    except (Unreadable, FileNotFoundError) as error:  # the latter: another process of a launcher removes it
        print(f"{error}: {then}", flush=True)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
