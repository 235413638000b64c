"""The parameters of the study: one pydantic model per group, no defaults.

`params.yaml` is the truth and gives every value; the models only check it (`extra="forbid"`, types, ranges).
Because no field has a default, nothing in this package can change a result, and stages need not depend on it.
"""

from difflab.core.params.loading import Declared, declared_groups, load_params

__all__ = ["Declared", "declared_groups", "load_params"]
