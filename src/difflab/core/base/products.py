"""torch's matrix products in the sizes that MKL computes alike: the same bytes on the processors of every maker.

For some sizes of float32 MKL chooses its code by the maker of the processor, whatever MKL_CBWR says: fewer than 4 rows or
12 columns (products with a vector among them), and sums of 193 to 271 terms. So such factors are filled up with zeros,
which change no sum. Convolutions that torch leaves to MKL go where the others go, to oneDNN.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from difflab.core.base import kernels

if TYPE_CHECKING:
    from torch import Tensor

MIN_ROWS, MIN_COLUMNS = 4, 12
APART = range(193, 272)  # terms of a sum


def replace() -> None:
    """Let torch compute products and convolutions of CPU tensors so, in this process, from here on."""
    kernels.replace("products", lambda: {**products(), **convolutions()})


def depends_on_maker(rows: int, columns: int, terms: int) -> bool:
    """Whether MKL's code for the float32 product of [rows, terms] and [terms, columns] depends on the maker."""
    return rows < MIN_ROWS or columns < MIN_COLUMNS or terms in APART


def products() -> dict[str, Callable[..., "Tensor"]]:
    """The kernel of each product by the name of its operator; each takes the dispatch keys first."""
    import torch

    library = {name: torch.library.get_kernel(f"aten::{name}", "CPU") for name in ("mm", "bmm", "addmm", "baddbmm")}

    def product(keys: Any, a: "Tensor", b: "Tensor") -> "Tensor":
        of_library = library["mm" if a.dim() == 2 else "bmm"]
        if not _to_fill(a, b):
            return of_library.call_boxed(keys, a, b)
        rows, columns, terms = a.shape[-2], b.shape[-1], a.shape[-1]
        terms = APART.stop if terms in APART else terms
        filled = _filled(a, max(rows, MIN_ROWS), terms), _filled(b, terms, max(columns, MIN_COLUMNS))
        return of_library.call_boxed(keys, *filled)[..., :rows, :columns].contiguous()

    def with_sum(keys: Any, x: "Tensor", a: "Tensor", b: "Tensor", *, beta: Any = 1, alpha: Any = 1) -> "Tensor":
        if not _to_fill(a, b):
            return library["addmm" if a.dim() == 2 else "baddbmm"].call_boxed(keys, x, a, b, beta=beta, alpha=alpha)
        return _plus(product(keys, a, b), x, beta, alpha)

    def with_vector(keys: Any, a: "Tensor", b: "Tensor") -> "Tensor":
        return product(keys, a, b[:, None])[:, 0]

    def with_vector_and_sum(
        keys: Any, x: "Tensor", a: "Tensor", b: "Tensor", *, beta: Any = 1, alpha: Any = 1
    ) -> "Tensor":
        return _plus(with_vector(keys, a, b), x, beta, alpha)

    def dot(keys: Any, a: "Tensor", b: "Tensor") -> "Tensor":
        return (a * b).sum()

    return {
        "mm": product, "bmm": product, "addmm": with_sum, "baddbmm": with_sum, "mv": with_vector,
        "addmv": with_vector_and_sum, "dot": dot,
    }  # fmt: skip


def convolutions() -> dict[str, Callable[..., "Any"]]:
    """The kernels of convolutions without oneDNN, by the names of their operators: of one picture, or of single pixels."""
    import torch

    names = {"forward": "_slow_conv2d_forward", "backward": "_slow_conv2d_backward.output_mask"}
    library = {name: torch.library.get_kernel(f"aten::{operator}", "CPU") for name, operator in names.items()}

    def forward(keys: Any, x: "Tensor", weight: "Tensor", size: Any, bias: Any, stride: Any, padding: Any) -> "Tensor":
        if not _for_onednn(x):
            return library["forward"].call_boxed(keys, x, weight, size, bias, stride, padding)
        result = torch.convolution(_two(x), weight, bias, stride, padding, _dilation(weight), False, (0, 0), 1)
        return result[: len(x)].contiguous()

    def backward(
        keys: Any, grad: "Tensor", x: "Tensor", weight: "Tensor", size: Any, stride: Any, padding: Any, mask: Any
    ) -> "tuple[Tensor | None, ...]":
        if not _for_onednn(x):
            return library["backward"].call_boxed(keys, grad, x, weight, size, stride, padding, mask)
        of_x, *others = torch.ops.aten.convolution_backward(
            _two(grad), _two(x), weight, [len(weight)], stride, padding, _dilation(weight), False, (0, 0), 1, mask
        )
        return of_x if of_x is None else of_x[: len(x)].contiguous(), *others

    return {names["forward"]: forward, names["backward"]: backward}


def _to_fill(a: "Tensor", b: "Tensor") -> bool:
    import torch

    rows, columns, terms = a.shape[-2], b.shape[-1], a.shape[-1]
    single = a.dtype == b.dtype == torch.float32
    return single and depends_on_maker(rows, columns, terms) and math.prod((rows, columns, terms, *a.shape[:-2])) > 0


def _filled(x: "Tensor", rows: int, columns: int) -> "Tensor":
    """[..., rows, columns]: `x` with zeros behind it."""
    from torch.nn.functional import pad

    more = (0, columns - x.shape[-1], 0, rows - x.shape[-2])
    return pad(x, more) if any(more) else x


def _plus(product: "Tensor", x: "Tensor", beta: float, alpha: float) -> "Tensor":
    """beta x + alpha product; x may hold anything, NaN too, where beta is 0."""
    scaled = product if alpha == 1 else product * alpha
    return scaled if beta == 0 else scaled + (x if beta == 1 else x * beta)


def _for_onednn(x: "Tensor") -> bool:
    import torch

    return x.dtype == torch.float32 and x.numel() > 0 and torch._C._get_mkldnn_enabled()


def _two(x: "Tensor") -> "Tensor":
    """`x` with an empty picture behind it where it is a single one, which torch would not give to oneDNN."""
    from torch.nn.functional import pad

    return x if len(x) > 1 else pad(x, (0, 0, 0, 0, 0, 0, 0, 1))


def _dilation(weight: "Tensor") -> tuple[int, int]:
    """2 for kernels of one pixel, where it means nothing, but that torch gives the convolution to oneDNN."""
    return (2, 2) if weight.shape[-2:] == (1, 1) else (1, 1)
