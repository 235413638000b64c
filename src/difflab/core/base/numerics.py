"""The instructions that the libraries compute with: the same ones on every x86-64 processor that has them.

docs/numerics.md says which processors then agree, and what cannot be pinned. Imports nothing heavy: `pin` runs first.
"""

import os
import re
from pathlib import Path

PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions
    "DNNL_MAX_CPU_ISA": "AVX2",  # the same under its older name, which wins where both are set
    "MKL_CBWR": "AVX2,STRICT",  # torch's matrix products: conditional numerical reproducibility
    "MKL_DYNAMIC": "FALSE",  # as many threads as asked for, however few cores there are
    "OPENBLAS_CORETYPE": "Haswell",  # matrix products of numpy and scipy
    "OPENBLAS_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
_CPUINFO = Path("/proc/cpuinfo")


def mode(params: str | Path = "params.yaml") -> str:
    """`runtime.numerics` of params.yaml, found without parsing it; "pinned" where it cannot be found."""
    try:
        text = Path(params).read_text(errors="replace")
    except OSError:
        return "pinned"
    found = re.search(r"^runtime:\n(?:[ \t#].*\n|\n)*?[ \t]+numerics:[ \t]*['\"]?(\w+)", text, re.MULTILINE)
    return found[1] if found else "pinned"


def pin(mode: str) -> str | None:
    """Set the environment that pins instruction sets, whatever the user's says; call before numpy or torch is imported.

    Args:
        mode: "pinned"; any other ("fast") leaves the environment alone.

    Returns:
        One line that says why nothing is pinned where the processor cannot; None otherwise.
    """
    if mode != "pinned":
        return None
    if not has_avx2():
        return f"numerics are not pinned: this processor ({os.uname().machine}) has no AVX2 (docs/numerics.md)"
    os.environ.update(PINNED)
    return None


def has_avx2() -> bool:
    """Whether this is an x86-64 processor with AVX2 and FMA."""
    if os.uname().machine not in {"x86_64", "amd64"} or not _CPUINFO.exists():
        return False
    flags = next((line for line in _CPUINFO.open(errors="replace") if line.startswith("flags")), "")
    return {"avx2", "fma"} <= set(flags.split())
