"""Files that are either whole or absent, and the same bytes every time."""

import errno
import glob
import hashlib
import io
import json
import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from difflab.core.base.errors import NO_SPACE, DifflabError, printable, reading

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_FULL = 64 * 1024  # bytes that may be left of a full disk


@contextmanager
def atomic_path(path: str | Path) -> Generator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds, delete it otherwise.

    Weights and other tensors (`*.safetensors`) that are not finite are refused: none gets its final name.

    The block writes a file or a folder there, whose bytes are on the disk before it is renamed. What a killed process
    left beside it, the next call removes. The suffix is kept, because writers choose their format by it.
    """
    path = Path(path)
    with _placing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{glob.escape(path.name)}.*-????????"):
        if (found := re.fullmatch(r"\.(\d+)-.{8}", left.name.removeprefix(f".{path.name}"))) and not _lives(
            int(found[1])
        ):
            shutil.rmtree(left, ignore_errors=True)
    with _placing(path):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.{os.getpid()}-", dir=path.parent))
    temporary = folder / path.name
    try:
        yield temporary
        if not temporary.exists():
            raise RuntimeError(f"nothing was written for {path}")
        for file in (temporary, *temporary.rglob("*")):
            if file.suffix == ".safetensors" and file.is_file():
                _check_tensors(file, path)
        _complete(temporary)
        if path.is_dir() and not path.is_symlink():
            if temporary.is_file():  # what lies there is somebody's, and no earlier result
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            path.rename(folder / "replaced")
        _rename(temporary, path)
    except Exception as error:
        if problem := _lack_of_space(error, path):
            raise DifflabError(f"{problem} while writing {path}: free some space, then run again") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(temporary: Path, path: Path) -> None:
    """Where it fails, the error names the final place and not the temporary one."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def _placing(path: Path) -> Generator[None]:
    """Name the folder that nothing can be written into, and not the temporary name that was tried there."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
        folder = next((place for place in path.parents if place.exists()), path.parent)
        raise OSError(error.errno, error.strerror, str(folder)) from error


def _lack_of_space(error: Exception, path: Path) -> str:
    """What of `NO_SPACE` an error comes from; nothing for other errors.

    Libraries in Rust tell the system's number in their text; torch.save and np.save do not tell it.
    """
    if isinstance(error, DifflabError):
        return ""
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        number = int(found[1])
    if number is None and isinstance(error, OSError | RuntimeError) and shutil.disk_usage(path.parent).free < _FULL:
        number = errno.ENOSPC
    return NO_SPACE.get(number, "") if number is not None else ""


def _check_tensors(file: Path, path: Path) -> None:
    """Refuse a file of tensors, written for `path`, that holds a number which is not finite."""
    from safetensors import safe_open

    with safe_open(file, framework="pt") as content:
        for name in content.keys():  # noqa: SIM118 (not a dict)
            tensor = content.get_tensor(name)
            if tensor.is_floating_point() and (bad := int((~tensor.float().isfinite()).sum())):
                raise DifflabError(
                    f"{path} is not written: {bad:,} of the {tensor.numel():,} numbers of '{name}' are NaN or infinite; "
                    "look for the first step with such a loss, or take float32 or bfloat16 in place of float16"
                )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # of another user
        return True
    return True


def _complete(path: Path) -> None:
    """Bring files to the disk, with the mode that the umask allows; some writers make them for their owner alone."""
    os.umask(mask := os.umask(0))
    for file in path.rglob("*") if path.is_dir() else (path,):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            file.chmod(0o666 & ~mask)


def decoded(content: bytes, name: str) -> str:
    """The text of a file that Git keeps.

    Raises:
        DifflabError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DifflabError(
            f"{name} is not UTF-8 (byte {error.start:,}): `git restore {name.split()[0]}` brings it back"
        ) from None


def write_bytes(path: str | Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, content: str) -> None:
    """Write a text as UTF-8.

    Raises:
        DifflabError: it holds half a character, as names of files do that are not UTF-8.
    """
    try:
        encoded = content.encode()
    except UnicodeEncodeError as error:
        near = content[max(0, error.start - 20) : error.end + 20]
        raise DifflabError(f"{path} is not written: '{printable(near)}' is no text: rename what is called so") from None
    write_bytes(path, encoded)


def write_json(path: str | Path, value: object) -> None:
    """Write indented JSON in the given key order.

    Raises:
        DifflabError: a number is NaN or infinite, which JSON does not have; the line names its key.
    """
    if bad := _not_finite(value):
        raise DifflabError(f"{path} is not written: {bad[0]} is {bad[1]}, which is no result")
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _not_finite(value: object, name: str = "the value") -> tuple[str, float] | None:
    """The dotted name and the value of the first number at any depth that is not finite."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (name, value)
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    inner = (_not_finite(v, str(k) if name == "the value" else f"{name}.{k}") for k, v in below)
    return next((found for found in inner if found), None)


def check_table(path: str | Path, frame, gaps: Collection[str] = ()) -> None:
    """Refuse a DataFrame for `path` with infinite numbers, or with NaN in columns that may have no gaps.

    Args:
        gaps: columns in which a missing value means that there is none, such as the loss before the first step.
    """
    import numpy as np

    for name in frame.columns:
        values = frame[name].to_numpy()
        if values.dtype == object:
            values = np.array([v for v in values if isinstance(v, float | np.floating)], np.float64)
        if not np.issubdtype(values.dtype, np.floating):
            continue
        wrong = np.isinf(values) if name in gaps else ~np.isfinite(values)
        if wrong.any():
            what = f"{int(wrong.sum())} of its {len(frame)} rows have {values[wrong][0]} as {name}"
            raise DifflabError(f"{path} is not written: {what}, which is no result")


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Put a finished file under a second name, without a second copy of its bytes where the disk allows it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def read_json(path: str | Path) -> Any:
    """The value in a JSON file.

    Raises:
        Unreadable: it is damaged, or holds NaN, Infinity or a number beyond the greatest.
    """
    with reading(path, _remedy(path)):
        return parse_json(Path(path).read_bytes())


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; a ValueError for NaN, Infinity and 1e999, which Python would read as numbers."""
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)


def _finite(digits: str) -> float:
    return value if math.isfinite(value := float(digits)) else _refuse_constant(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _remedy(path: str | Path) -> str:
    scratch = ".scratch" in Path(path).parts
    return "delete it" if scratch else f"`git checkout` or `dvc checkout {path}` restores it"


_STAND_INS = {
    b"version https://git-lfs": "a pointer of Git LFS: `git lfs pull` fetches the file",
    b"<!doctype html": "a page of the web: its download has failed",
    b"<html": "a page of the web: its download has failed",
}


def stand_in(head: bytes) -> str:
    """What a file is that was not fetched, by its first 64 bytes; nothing where it is none."""
    start = head.lstrip().lower()
    return next((what for beginning, what in _STAND_INS.items() if start.startswith(beginning)), "")


def refuse_stand_in(path: str | Path) -> None:
    """Raise a ValueError over a file that stands for one that was not fetched."""
    with Path(path).open("rb") as stream:
        if what := stand_in(stream.read(64)):
            raise ValueError(f"{Path(path).name} is {what}")


def read_tensors(path: str | Path, remedy: str = "") -> dict[str, Any]:
    """The tensors of a safetensors file by name, torch's, on the CPU; a page of the file is read when it is used.

    Args:
        remedy: what the message ends with, where it is not to restore the file.

    Raises:
        Unreadable: it is damaged.
    """
    from safetensors.torch import load_file

    with reading(path, remedy or _remedy(path)):
        refuse_stand_in(path)
        return load_file(path)


def read_tensor_facts(path: str | Path, remedy: str = "") -> dict[str, str]:
    """The metadata of a safetensors file; arguments and errors as of `read_tensors`."""
    from safetensors import safe_open

    with reading(path, remedy or _remedy(path)), safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def write_parquet(path: str | Path, frame, gaps: Collection[str] = ()) -> None:
    """Write a pandas DataFrame as one Parquet file: zstd, no pandas metadata, no index, the same bytes every time.

    Its numbers are checked, see `check_table`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_table(path, frame, gaps)
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_parquet(path: str | Path):
    """A Parquet file as a pandas DataFrame; damage to its pages is noticed.

    Raises:
        Unreadable: it is damaged.
    """
    import pandas as pd

    with reading(path, _remedy(path)):
        return pd.read_parquet(path, page_checksum_verification=True)


def write_csv(path: str | Path, frame, gaps: Collection[str] = ()) -> None:
    """Write a pandas DataFrame as CSV without index, numbers with 6 significant digits, the same bytes every time.

    Its numbers are checked, see `check_table`.
    """
    check_table(path, frame, gaps)
    write_text(path, frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def read_csv(content: str | Path | io.BytesIO, name: str = "", **options: Any):
    """A CSV file, or the content of the file `name`, as a pandas DataFrame; `options` are of pandas.

    Raises:
        Unreadable: it is damaged.
    """
    import pandas as pd

    path = name or str(content)
    with reading(path, _remedy(path)):
        return pd.read_csv(content, **options)


def write_zip(path: str | Path, entries: Iterable[tuple[str, bytes]]) -> None:
    """Write an uncompressed archive of already compressed files (images), with a fixed date and in the given order."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name, date_time=_ZIP_EPOCH), content)


def read_zip_names(path: str | Path) -> list[str]:
    """The names in a zip that `write_zip` wrote.

    Raises:
        Unreadable: it is damaged.
    """
    with reading(path, _remedy(path)), zipfile.ZipFile(path) as archive:
        return archive.namelist()


def read_zip(path: str | Path, names: Iterable[str]) -> Generator[bytes]:
    """The contents of these files of a zip, in the order asked for.

    Raises:
        Unreadable: it is damaged.
    """
    with reading(path, _remedy(path)):
        archive = zipfile.ZipFile(path)
    with archive:
        for name in names:
            with reading(f"{path}: {name}", _remedy(path)):
                content = archive.read(name)
            yield content


def png_bytes(image) -> bytes:
    """Encode a PIL image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def sha256_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hash a file, or a folder as the sorted list of its files and their hashes."""
    path = Path(path)
    if path.is_dir():
        digest = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
