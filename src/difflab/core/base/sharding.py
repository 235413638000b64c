"""Long work over sample ids: cut into chunks, spread over processes, resumable."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from difflab.core.base import runtime
from difflab.core.base.damage import remove_damaged
from difflab.core.base.files import atomic_path, sha256_bytes


def process_chunks(
    ids: Sequence[str],
    chunk_size: int,
    scratch: Path,
    work: Callable[[list[str], Path], None],
    *,
    what: str,
    suffix: str = "",
) -> list[Path] | None:
    """Call `work(chunk_ids, path)` for every chunk that has no file yet; `path` is written atomically.

    The ids are cut into runs of `chunk_size` in the given order, so a chunk's content depends neither on the
    number of processes nor on where an earlier run stopped. Under a launcher (RANK, WORLD_SIZE) process r of
    n takes the chunks r, r + n, r + 2n, ...

    Args:
        ids: sample ids, each once; the same list in every process.
        scratch: `stage.scratch()`; chunk files are named by position and ids, so those of other ids are never taken.
        work: writes a file or a folder with the extension `suffix`.
        what: the noun of the progress bar and of the message on Ctrl-C.

    Returns:
        The chunk files in the order of `ids` in the main process; None in the others, which are done.

    Raises:
        Interrupted: Ctrl-C arrived; finished chunks are kept, the one in work is not.
    """
    chunks = [list(ids[start : start + chunk_size]) for start in range(0, len(ids), chunk_size)]
    hashes = [sha256_bytes("\n".join(chunk).encode())[:12] for chunk in chunks]
    paths = [scratch / what.replace(" ", "-") / f"{i:06d}-{digest}{suffix}" for i, digest in enumerate(hashes)]
    rank, size = runtime.process_index()
    mine = list(zip(chunks, paths, strict=True))[rank::size]
    for _, path in mine:
        remove_damaged(path, "this chunk is made again")
    if found := sum(path.exists() for _, path in mine):
        print(f"{what}: {found} of {len(mine)} chunks are there from an interrupted run", flush=True)
    with runtime.immediate_stop(what):
        for chunk, path in runtime.progress(mine, desc=what, unit="chunk"):
            if not path.exists():
                with atomic_path(path) as temporary:
                    work(chunk, temporary)
        if rank > 0:
            return None
        while not all(path.exists() for path in paths):  # the launcher ends every process when one fails
            time.sleep(0.2)
    return paths
