"""What the report reads, with the stage that makes each file; an absent file is noted and never fatal."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from difflab.core.base.files import read_json
from difflab.sd3.cells import CAPTIONS, FINE_TUNED

METRIC_STAGES = (
    "prepare_celeba_hq", "prepare_celeba",
    "zoo_vision_encoder", "zoo_vae", "zoo_blip2", "zoo_llama", "zoo_transformer",
    "caption_blip2", "caption_llama3", "cache_latents", "cache_prompts",
    "score", "guidance_curve", "step_curve",
)  # fmt: skip
DDPM_STAGES = (
    "zoo_classifier@cifar10", "zoo_classifier@mnist", "zoo_image_vae",
    "denoise_score", "ddpm_score", "process", "memorisation", "cold@blur", "cold@mask",
)  # fmt: skip
CAPTIONER_STAGES = ("vary_titles", "synthesize", "mix", "caption_score")
CELLS = tuple(f"{captions}-{adapter}" for captions in CAPTIONS for adapter in FINE_TUNED)


@dataclass
class Inputs:
    """Metrics, tables and pictures below `root`; every absent one is remembered in `missing` with its
    stage."""

    root: Path = Path()
    missing: dict[str, str] = field(default_factory=dict)

    def metrics(self, stage: str) -> dict[str, float]:
        """metrics/<stage>.json; `stage` may be a cell such as "finetune@blip2-minus". Empty where absent."""
        path = Path("metrics") / f"{stage.replace('@', '/')}.json"
        return read_json(self.root / path) if self._exists(path, stage) else {}

    def table(self, path: str, stage: str) -> pd.DataFrame | None:
        return pd.read_csv(self.root / path) if self._exists(Path(path), stage) else None

    def curves(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The training curves that exist, by (captions, adapter)."""
        rows = {tuple(c.split("-")): self.table(f"plots/finetune/{c}.csv", f"finetune@{c}") for c in CELLS}
        return {cell: frame for cell, frame in rows.items() if frame is not None}

    def grid(self, adapter: str, captions: str) -> Path | None:
        """The picture of generated images of one cell."""
        path = Path("plots/grids") / f"{adapter}-{captions}.png"
        stage = "generate_pretrained" if adapter == "pretrained" else f"generate@{adapter}"
        return self.root / path if self._exists(path, stage) else None

    def picture(self, path: str, stage: str) -> Path | None:
        """A picture that a stage makes."""
        return self.root / path if self._exists(Path(path), stage) else None

    def real_grid(self) -> Path | None:
        """The picture of the real images of the same sample ids."""
        path = Path("plots/grids/real.png")
        return self.root / path if self._exists(path, "score") else None

    def _exists(self, path: Path, stage: str) -> bool:
        if (self.root / path).is_file():
            return True
        self.missing[path.as_posix()] = stage
        return False
