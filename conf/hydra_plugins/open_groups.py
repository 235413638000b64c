"""Groups whose members share values through `common`: a member may be given any of them on the command line.

Hydra refuses to set a key that no file has. For these groups the parameter models do it, which know what is shared.
Found by DVC (hydra.plugins_path in .dvc/config) and by `difflab compose`; conf/config.yaml names the group.
"""

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

OPEN = ("data", "zoo", "caption", "ddpm", "ddpm_sample")

ConfigStore.instance().store(
    group="study",
    name="open_groups",
    package="_global_",
    node=DictConfig({name: DictConfig({}, flags={"struct": False}) for name in OPEN}),
)
