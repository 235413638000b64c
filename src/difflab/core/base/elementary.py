"""torch's elementary functions by numpy: the same bytes on the processors of every maker.

torch hands these functions to MKL's vector mathematics. That chooses its code by the maker of the processor, whatever
MKL_CBWR says; its float32 exp and log differ in the last bit between makers, and its sqrt is not the rounded one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from difflab.core.base import kernels

if TYPE_CHECKING:
    from torch import Tensor

FUNCTIONS = {
    "exp": np.exp, "log": np.log, "log10": np.log10, "sqrt": np.sqrt, "acos": np.arccos, "atan": np.arctan, "tan": np.tan,
}  # fmt: skip


def replace() -> None:
    """Let torch compute `FUNCTIONS` of CPU tensors by numpy, in this process, from here on."""
    forms = ("", "_", ".out")
    kernels.replace(
        "elementary functions",
        lambda: {n + form: k for n, f in FUNCTIONS.items() for form, k in zip(forms, _kernels(f), strict=True)},
        with_keyset=False,
    )
    kernels.replace("powers", lambda: {"pow.Tensor_Scalar": _power()})


def _power() -> "Callable[..., Tensor]":
    """x to the power of a number: the root, where that is 1/2."""
    import torch

    of_library, root = torch.library.get_kernel("aten::pow.Tensor_Scalar", "CPU"), _kernels(np.sqrt)[0]

    def power(keys: Any, x: "Tensor", exponent: complex) -> "Tensor":
        return root(x) if exponent == 0.5 and x.is_floating_point() else of_library.call_boxed(keys, x, exponent)

    return power


def _kernels(function: np.ufunc) -> "tuple[Callable[..., Tensor], ...]":
    """The function in its three forms: a new tensor, in place, into a given one."""
    import torch

    def value(x: "Tensor") -> "Tensor":
        dtype = x.dtype if x.is_floating_point() or x.is_complex() else torch.get_default_dtype()
        rounded = function is np.sqrt and dtype == torch.float32  # as it is
        given = x.detach().to(dtype if rounded or x.is_complex() else torch.float64)
        result = torch.empty_like(given)
        with np.errstate(all="ignore"):  # log(0) is -inf, without a word
            function(given.numpy(), out=result.numpy())
        return result.to(dtype)

    def in_place(x: "Tensor") -> "Tensor":
        return x.copy_(value(x))

    def into(x: "Tensor", *, out: "Tensor") -> "Tensor":
        return out.resize_(x.shape).copy_(value(x))

    return value, in_place, into
