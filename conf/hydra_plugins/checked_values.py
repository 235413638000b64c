"""`dvc exp run` refuses values that cannot be before it starts anything: DVC composes params.yaml first.

Found by DVC (hydra.plugins_path in .dvc/config), which resolves the composed configuration with `OmegaConf.resolve` and
then writes it; `difflab compose` checks by itself.
"""

import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

resolve = OmegaConf.resolve
REFUSED = "refused, nothing has changed"


def resolve_and_check(config: Any) -> None:
    """Resolve a configuration, and refuse it with one line that names the parameter."""
    from dvc.exceptions import DvcException

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    from difflab.committed_rulers import check_rulers
    from difflab.core.base.errors import DifflabError
    from difflab.core.params.loading import check_params

    resolve(config)
    try:
        check_rulers(check_params(OmegaConf.to_container(config), REFUSED), REFUSED)
    except DifflabError as error:
        raise DvcException(str(error)) from None


if __name__.startswith("hydra_plugins"):
    OmegaConf.resolve = resolve_and_check  # ty: ignore[invalid-assignment]
