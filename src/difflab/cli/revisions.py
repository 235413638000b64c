"""Files of Git revisions and DVC experiments, read with git alone: DVC's own index takes seconds for each."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from difflab.core.base.errors import DifflabError, suggestion

WORKSPACE = "workspace"


def resolve(rev: str) -> str:
    """The commit behind a branch, tag, hash or name of a DVC experiment.

    Raises:
        DifflabError: there is none; near names are suggested.
    """
    refs = experiments()
    if rev in refs:
        return refs[rev]
    if found := git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"):
        return found
    branches = git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").split()
    raise DifflabError(
        f"there is no revision or experiment '{rev}'{suggestion(rev, ['HEAD', WORKSPACE, *refs, *branches])}; "
        "`difflab experiments` and `git branch` list names"
    )


def experiments() -> dict[str, str]:
    """The commits of DVC experiments by name, the newest last."""
    listed = git("for-each-ref", "--sort=committerdate", "--format=%(refname) %(objectname)", "refs/exps")
    own = [(ref.split("/"), commit) for ref, commit in map(str.split, listed.splitlines())]
    # refs/exps/<2 digits>/<38 digits>/<name> is an experiment; the queue keeps others beside them
    return {parts[4]: commit for parts, commit in own if len(parts) == 5 and len(parts[3]) == 38}


def read_files(rev: str, paths: Sequence[str]) -> dict[str, bytes]:
    """Those files that a revision has; `workspace` is the working tree.

    Raises:
        DifflabError: there is no such revision.
    """
    if rev == WORKSPACE:
        return {path: Path(path).read_bytes() for path in paths if Path(path).is_file()}
    commit, prefix = resolve(rev), git("rev-parse", "--show-prefix")
    questions = "".join(f"{commit}:{prefix}{path}\n" for path in paths).encode()
    answer = subprocess.run(["git", "cat-file", "--batch"], input=questions, capture_output=True, check=True)
    return dict(_batch(answer.stdout, paths))


def _batch(output: bytes, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The answers of `git cat-file --batch`: a header `<hash> <type> <size>` and the content, or `... missing`."""
    start = 0
    for path in paths:
        end = output.index(b"\n", start)
        header, start = output[start:end], end + 1
        kind, size = header.split()[-2:]
        if size == b"missing":
            continue
        if kind == b"blob":
            yield path, output[start : start + int(size)]
        start += int(size) + 1


def git(*arguments: str) -> str:
    """What git prints; empty where it fails.

    Raises:
        DifflabError: there is no repository here.
    """
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if "not a git repository" in done.stderr:
        raise DifflabError("this is not a Git repository: revisions can be read only in a clone")
    return done.stdout.strip() if done.returncode == 0 else ""
