"""Files of Git revisions and DVC experiments, read with git alone: DVC's own index takes seconds for each."""

import subprocess
from collections.abc import Iterable
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
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.strip()
    raise DifflabError(
        f"there is no revision or experiment '{rev}'{suggestion(rev, ['HEAD', WORKSPACE, *refs, *_branches()])}; "
        "`difflab experiments` and `git branch` list names"
    )


def experiments() -> dict[str, str]:
    """The commits of DVC experiments by name, the newest last."""
    listed = _git("for-each-ref", "--sort=committerdate", "--format=%(refname) %(objectname)", "refs/exps").stdout
    refs = [line.split() for line in listed.splitlines()]
    own = [(ref.split("/"), commit) for ref, commit in refs]
    # refs/exps/<2 digits>/<38 digits>/<name> is an experiment; the queue keeps others beside them
    return {parts[4]: commit for parts, commit in own if len(parts) == 5 and len(parts[3]) == 38}


def parent(commit: str) -> str:
    """The commit that an experiment started from."""
    return _git("rev-parse", f"{commit}^").stdout.strip()


def read_files(rev: str, paths: Iterable[str]) -> dict[str, str]:
    """The texts of those files that a revision has; `workspace` is what lies here.

    Raises:
        DifflabError: there is no such revision.
    """
    paths = list(paths)
    if rev == WORKSPACE:
        return {path: Path(path).read_text() for path in paths if Path(path).is_file()}
    commit = resolve(rev)
    prefix = _git("rev-parse", "--show-prefix").stdout.strip()
    questions = "".join(f"{commit}:{prefix}{path}\n" for path in paths).encode()
    answer = subprocess.run(["git", "cat-file", "--batch"], input=questions, capture_output=True, check=True)
    return dict(_batch(answer.stdout, paths))


def _batch(output: bytes, paths: list[str]) -> Iterable[tuple[str, str]]:
    """The answers of `git cat-file --batch`: a header `<hash> <type> <size>` and the content, or `... missing`."""
    start = 0
    for path in paths:
        end = output.index(b"\n", start)
        header = output[start:end].split()
        start = end + 1
        if header[-1] == b"missing":
            continue
        size = int(header[2])
        yield path, output[start : start + size].decode()
        start += size + 1


def _branches() -> list[str]:
    return _git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").stdout.split()


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if "not a git repository" in done.stderr:
        raise DifflabError("this is not a Git repository: revisions can be read only in a clone")
    return done
