"""What a stage script depends on inside the package, read from the source without running it."""

import ast
import sys
import textwrap
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from difflab.core.params.loading import read_pipeline

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "difflab"
STAGES = read_pipeline(str(ROOT / "dvc.yaml"))["stages"]

# Modules that cannot change a result, so that an edit there must not run stages again:
# params has no default values (params.yaml gives every value, and stages declare those they read);
# tracking only copies numbers to MLflow.
# environment only warns.
EXEMPT = (
    "src/difflab/core/params/",
    "src/difflab/core/tracking",
    "src/difflab/core/environment.py",
    "src/difflab/study.py",
)

# The group of params.yaml's `environment` that holds a library, by the name that it is imported under.
LIBRARIES = {
    **dict.fromkeys(["numpy", "PIL", "scipy", "skimage", "sklearn"], "arrays"),
    **dict.fromkeys(
        ["diffusers", "peft", "pytorch_fid", "tokenizers", "torch", "torchvision", "transformers"], "models"
    ),
}

# Folders that a stage may list of whose files it needs only some, with the reason.
TAKEN_WHOLE: dict[str, str] = {
    "src/difflab/core/base": "the ground that every stage stands on: few files, rarely edited",
    "src/difflab/images/archives": "an archive and how it is opened: a stage that reads one needs all but the fetching",
    "src/difflab/images/sets/formats": "how folders and tables of pictures are read: the kinds share most of it",
    "src/difflab/miniature/archives": "the archives that the pipeline draws: what checks or builds them needs most",
    "src/difflab/models/language": "one file leads to most others: how a language model is asked, writes and is read",
    "src/difflab/attention": "one study of one stage, which needs all but what the command keeps",
    "src/difflab/sd3/blocks": "one question in two stages, which share samples and the names of the ways",
    "src/difflab/sd3/training": "how a flow model learns and what it is shown",
    "src/difflab/training": "the loop and its parts: a stage that trains needs all but one or two of them",
    "src/difflab/miniature/data": "what the miniature consists of: its pictures and the words for them",
    "src/difflab/ddpm/common": "a network is read from its file by one function that knows all kinds",
}


def script_of(stage: str) -> Path:
    return ROOT / (STAGES[stage]["cmd"].split()[2].replace(".", "/") + ".py")


@cache
def closure(script: Path) -> frozenset[str]:
    """The package's files that the script imports, directly or not, and the data files they name.

    Imports inside functions count, those under `if TYPE_CHECKING` do not. Modules without statements and the
    exempt ones are left out. Paths are relative to the repository.
    """
    seen: set[Path] = set()
    waiting = list(imports(script))
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            if not exempt(module):
                waiting.extend(imports(module))
    code = {m for m in seen if not _is_empty(m)}
    data = {file for module in code for file in _named_files(module)}
    return frozenset(relative(file) for file in code | data if not exempt(file))


def libraries(script: Path) -> set[str]:
    """The group of `LIBRARIES` that the script and its closure need; `models` holds what `arrays` does.

    Inside difflab.core only imports at the top count: its functions import torch for callers that have tensors.
    """
    found: set[str] = set()
    for name in [relative(script), *closure(script)]:
        if name.endswith(".py"):
            found |= _libraries_of(ROOT / name)
    return {"models"} if "models" in found else found


@cache
def _libraries_of(file: Path) -> frozenset[str]:
    tree = syntax(file)
    nodes = tree.body if relative(file).startswith("src/difflab/core/") else _outside_type_checking(tree)
    return frozenset(LIBRARIES[root] for node in nodes for root in _roots(node) if root in LIBRARIES)


def _roots(node: ast.AST) -> list[str]:
    """The top-level packages that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    return [(node.module or "").split(".")[0]] if isinstance(node, ast.ImportFrom) else []


def exempt(file: Path) -> bool:
    """Whether an edit of the file can change no result."""
    return relative(file).startswith(EXEMPT) or "params" in file.relative_to(ROOT).parts or file.name == "params.py"


def suggestion(files: Iterable[str], whole: Collection[str] = ()) -> list[str]:
    """The closure as dvc.yaml lists it: folders of which every file is needed or that are taken whole, else files."""
    result = files = set(files)
    folders = {str(parent) for file in files for parent in Path(file).parents} - {".", "src", "src/difflab", "stages"}
    for folder in sorted(folders, key=len):
        own = code_files(folder)
        if (len(own) > 1 and own <= files) or folder in whole:
            result = {file for file in result if not file.startswith(f"{folder}/")} | {folder}
    inner = {name for name in result if any(name.startswith(f"{outer}/") for outer in result)}
    return sorted(result - inner)


def code_files(path: str) -> set[str]:
    """The files with code behind a dependency of dvc.yaml, a file or a folder."""
    place = ROOT / path
    return {relative(f) for f in ([place] if place.is_file() else place.rglob("*")) if _is_code(f) and not exempt(f)}


@cache
def imports(file: Path) -> frozenset[Path]:
    """The package's files that this file imports, `__init__.py` of the packages on the way included."""
    found: set[Path] = set()
    for node in _outside_type_checking(syntax(file)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(file)}: relative imports are not used here"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            found |= _files(name)
    return frozenset(found - {file})


@cache
def syntax(file: Path) -> ast.Module:
    """The tree of a Python file."""
    return ast.parse(file.read_text())


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(p for p in PACKAGE.rglob("*.py"))


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def _files(name: str) -> frozenset[Path]:
    """The files that run when the module is imported; none where the name is no module of the package."""
    parts = name.split(".")
    if parts[0] != "difflab":
        return frozenset()
    folder, found = PACKAGE, {PACKAGE / "__init__.py"}
    for part in parts[1:]:
        if (folder / f"{part}.py").is_file():
            return frozenset(found | {folder / f"{part}.py"})
        folder = folder / part
        if not (folder / "__init__.py").is_file():
            break
        found.add(folder / "__init__.py")
    return frozenset(found)


def _outside_type_checking(tree: ast.AST):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            continue
        yield node
        yield from _outside_type_checking(node)


@cache
def _is_empty(module: Path) -> bool:
    """Whether it has a docstring and dunder names only."""
    return all(_is_docstring(node) or _is_dunder(node) for node in syntax(module).body)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_dunder(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and all(ast.unparse(t).startswith("__") for t in node.targets)


@cache
def _named_files(module: Path) -> frozenset[Path]:
    """Data files beside the module that it names in a string."""
    beside = {f.name: f for f in module.parent.iterdir() if f.is_file() and f.suffix != ".py"}
    strings = {n.value for n in ast.walk(syntax(module)) if isinstance(n, ast.Constant)} if beside else set()
    return frozenset(file for name, file in beside.items() if name in strings)


def _is_code(file: Path) -> bool:
    return file.is_file() and file.suffix != ".pyc" and not (file.suffix == ".py" and _is_empty(file))


def main() -> None:
    """Print what dvc.yaml lists of a script's code and libraries: python tests/closure.py stages/sd3/finetune.py"""
    for name in sys.argv[1:]:
        script = ROOT / name
        if not script.is_file():
            sys.exit(f"{name} is no file: name a script such as stages/sd3/finetune.py")
        code = [relative(script), *suggestion(closure(script), TAKEN_WHOLE)]
        print(f"deps, after its data:\n{textwrap.fill(', '.join(code), 118, break_on_hyphens=False)}")
        used = ", ".join(f"environment.{group}" for group in sorted(libraries(script)))
        print(f"params, after its own:\n{textwrap.fill(used, 118, break_on_hyphens=False)}")


if __name__ == "__main__":
    main()
