"""Other kernels in the place of torch's, for tensors of CPUs."""

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_libraries: "dict[str, torch.library.Library]" = {}  # each lives as long as its kernels are to be used


def replace(what: str, kernels: Callable[[], Mapping[str, Callable[..., Any]]], *, with_keyset: bool = True) -> None:
    """Let torch compute the operators that `kernels` names so, in this process, from here on; once for each `what`.

    Args:
        with_keyset: the kernels take the dispatch keys first.
    """
    import torch

    if what in _libraries:
        return
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kernel is overridden
        for name, function in kernels().items():
            library.impl(name, function, "CPU", with_keyset=with_keyset)
    _libraries[what] = library
