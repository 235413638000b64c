"""`difflab export`: an adapter or a token's embedding in the format of another program."""

from pathlib import Path
from typing import TYPE_CHECKING

from difflab.cli.adapters import name_of, open_adapters
from difflab.cli.bases import OUTPUTS
from difflab.cli.described import describe
from difflab.cli.merge import card, check_new
from difflab.cli.onnx_export import check_onnx, write_onnx
from difflab.core.base.errors import DifflabError
from difflab.models.adapters.embeddings import Embedding
from difflab.models.adapters.networks import Network
from difflab.models.adapters.reading import located
from difflab.models.adapters.writing import ONNX, check_target, write_adapter, write_embedding

if TYPE_CHECKING:
    from difflab.study import Params


def export(path: Path, format: str, out: Path | None, base: str | None, params: "Params") -> str:
    """Write the adapter and return the line to print.

    Raises:
        DifflabError: it is no adapter, does not fit its base, or the target cannot be written.
    """
    name = name_of(located(path))
    out = out or OUTPUTS / f"{name}-{format}"
    if format == ONNX:
        return _to_onnx(path, out, base, params)
    check_target(out, format)
    (adapter,) = open_adapters([path], base, params)
    if isinstance(adapter.file, Network):
        raise DifflabError(
            f"{path} is a whole {adapter.file.denoiser}, not an adapter: `difflab merge` writes it with its base"
        )
    described = describe(adapter, params)
    if isinstance(adapter.file, Embedding):
        files = write_embedding(out, format, adapter.file, described)
    else:
        files = write_adapter(out, format, adapter.updates, adapter.layers, described, adapter.file.facts)
    size = sum(file.stat().st_size for file in files)
    return f"wrote {out}, {adapter.file.path} for {format}: {adapter.told()}, {size / 1e6:.1f} MB"


def _to_onnx(path: Path, out: Path, base: str | None, params: "Params") -> str:
    """The whole pipeline with the adapter in its weights, as graphs."""
    import torch

    check_onnx()
    check_new(out)
    (adapter,) = open_adapters([path], base, params, dtype=torch.float32)
    adapter.merge()
    difference = write_onnx(adapter.pipeline, out, card(adapter.base, path, "as ONNX graphs"))
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    same = "" if difference is None else f", within {difference:.0e} of the networks"
    made = f"{adapter.file.path} in {adapter.base.name}: {adapter.told()}"
    return f"wrote {out}, {made}, as ONNX graphs{same}, {size / 1e6:.1f} MB"
