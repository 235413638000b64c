"""`difflab merge`: a whole pipeline of diffusers with an adapter in its weights, in full or with fewer bits."""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab.cli.adapters import name_of, open_adapters
from difflab.cli.bases import OUTPUTS, STUDY, find_base
from difflab.cli.quantising import check_quantising, quantise
from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path
from difflab.models.adapters.reading import located
from difflab.models.adapters.writing import CARD

if TYPE_CHECKING:
    from difflab.cli.bases import Base
    from difflab.cli.quantising import Bits
    from difflab.study import Params


def merge(path: Path | None, out: Path | None, base: str | None, bits: "Bits | None", params: "Params") -> str:
    """Write the folder of a pipeline and return the line to print; without an adapter that of the base alone.

    Raises:
        DifflabError: it is no adapter, does not fit its base, or the target cannot be written.
    """
    name = (base or STUDY).replace("/", "-") if path is None else name_of(located(path))
    suffix = ("" if path is None else "-merged") + (f"-{bits}bit" if bits else "")
    out = out or OUTPUTS / f"{name}{suffix}"
    check_new(out)
    if bits:
        check_quantising(bits)
    if path is None:
        found = find_base(base, "transformer", params)
        pipeline, added = found.load(), found.name
    else:
        (adapter,) = open_adapters([path], base, params)
        found, pipeline, added = adapter.base, adapter.pipeline, f"{path} in {adapter.base.name}: {adapter.told()}"
        adapter.merge()
    with atomic_path(out) as temporary:
        pipeline.save_pretrained(temporary)
        if bits:
            quantise(pipeline, temporary, bits)
        (temporary / CARD).write_text(card(found, path, f"{bits} bits a weight of the denoiser" if bits else ""))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    if bits:
        added += f", {bits} bits a weight"
    return f"wrote {out}, {added}, {size / 1e6:.1f} MB"


def check_new(out: Path) -> None:
    """Refuse, as a DifflabError, a path that is there already."""
    if out.exists() or out.is_symlink():
        raise DifflabError(f"{out} exists already: name another with --out, or delete it first")


def card(base: "Base", path: Path | None, form: str = "") -> str:
    """The README.md of a pipeline with what was trained in its weights."""
    added = f" with `{path}` in its weights" if path else ""
    told = f"{base.name}{added}" + (f", {form}" if form else "")
    return f"# {base.name}\n\n{told}, written by difflab. The base is under {base.licence}.\n"
