"""Stand-ins that need no trained model: a store in memory, an extractor by hand, plausible inputs."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch
from PIL import Image

from difflab.core.base import rng
from difflab.core.base.files import png_bytes, sha256_bytes, write_bytes, write_csv, write_json, write_zip
from difflab.miniature.data.blend import ATTRIBUTES
from difflab.miniature.data.vocabulary import DIGIT, PHOTO
from difflab.report.summary import PREFIXES
from difflab.sd3.artifacts.cells import ADAPTERS, FINE_TUNED, PUBLISHED
from difflab.sd3.score_summary import compared, summarise
from fakes.attention_results import write_attention_inputs
from fakes.block_results import write_block_inputs
from fakes.captioning_results import write_caption_inputs
from fakes.personal_results import write_personal_inputs
from fakes.series_results import write_series_inputs

IDS = [f"hq-{i:05d}" for i in range(40)]


def picture(purpose: str, size: int = 16) -> np.ndarray:
    return rng.numpy_rng(0, "picture", purpose).integers(0, 256, (size, size, 3), dtype=np.uint8)


class Store:
    """The part of `ImageStore` that evaluation uses."""

    def __init__(self, ids: Sequence[str] = IDS) -> None:
        self.ids, self.reads = list(ids), 0
        rows = [{f"Digit_{i % 10}", PHOTO.columns[i % 2]} for i in range(len(ids))]
        self.attributes = pd.DataFrame([{name: name in row for name in ATTRIBUTES} for row in rows], index=ids)

    def read(self, ids: Sequence[str]) -> list[Image.Image]:
        self.reads += len(ids)
        return [Image.fromarray(picture(i)) for i in ids]

    def sha256(self, sample: str) -> str:
        return sha256_bytes(picture(sample).tobytes())


class VisionEncoder(torch.nn.Module):
    """Sees the digit that stands in the red channel of the first pixel, and its parity as the photograph."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        digit = ((images[:, 0, 0, 0] + 1) * 127.5).round().long() % 10
        one_hot = torch.nn.functional.one_hot
        return {"digit": one_hot(digit, 10).float(), "photo": one_hot(digit % 2, 12).float()}


class Extractor:
    """Means of the colours in the four quarters: 12 dimensions."""

    name, dim, resize, ruler, device = "vision_encoder", 12, "none", "fake", torch.device("cpu")
    classes = MappingProxyType({classes.name: classes.columns for classes in (DIGIT, PHOTO)})

    def __init__(self) -> None:
        self.vision_encoder, self.calls = VisionEncoder(), 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        n, half = len(images), images.shape[1] // 2
        quarters = images.reshape(n, 2, half, 2, half, 3).astype(np.float32)
        return quarters.mean(axis=(2, 4)).reshape(n, 12)

    def tensor(self, images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def write_generated(path: Path, seeds: Sequence[int], ids: Sequence[str] = IDS, *, right: bool = True) -> None:
    """An archive whose images carry their digit in the first pixel (or the next digit, if not `right`)."""
    entries = []
    for seed in seeds:
        for sample in ids:
            image = picture(f"{sample} {seed}")
            image[0, 0, 0] = (int(sample[3:]) + (not right)) % 10
            entries.append((f"seed-{seed}/{sample}.png", png_bytes(Image.fromarray(image))))
    write_zip(path, entries)


def score_table(trainings: Sequence[int] = (0, 1), draws: Sequence[int] = (0,)) -> pd.DataFrame:
    """A long table of plausible scores: fine-tuned cells far below the pretrained ones."""
    base = {"pretrained": 60.0, "minus": 8.0, "zero": 7.0, "plus": 7.5}
    rows = [
        {"adapter": a, "captions": c, "training": t, "seed": d, "n": 150, "fid": fid + t + (c == "llama3") + d / 4,
         "kid": fid / 400, "digit_accuracy": 0.95 + 0.01 * t, "photo_accuracy": 0.9, **neighbours(fid)}
        for a, fid in base.items() for c in ("blip2", "llama3") for t in trainings for d in draws
    ]  # fmt: skip
    rows.append({"adapter": "real", "captions": "", "training": 0, "seed": 0, "n": 150, "fid": 2.5, "kid": 0.0004,
                 "digit_accuracy": 0.97, "photo_accuracy": 0.99, **neighbours(2.5)})  # fmt: skip
    return pd.DataFrame(rows).assign(extractor="vision_encoder", dim=96, resize="centre square", num_inference_steps=12)


def neighbours(fid: float) -> dict[str, float]:
    """What stands beside a distance: of a nearer set, more lies within the other's manifold."""
    shares = dict.fromkeys(("precision", "recall", "density", "coverage"), 1 / (1 + fid / 50))
    return {"fid_infinity": fid - 2, **shares, "memory_ratio": 1 + fid / 500, "memorised_share": 0.0}


def write_inputs(root: Path) -> None:
    """Everything the report reads, below `root`."""
    table = score_table()
    write_csv(root / "plots/score.csv", table)
    counts = {
        "n": 150,
        "trainings": 2,
        "seeds": 1,
        "margin": 0.1,
        "reference_n": 1200,
        "floor_n": 150,
        "dim": 96,
        "rank_deficient": 0,
    }
    write_metrics(root, "score", summarise(table) | compared(table, margin=0.1) | counts)
    for captions in PUBLISHED:
        for adapter in ADAPTERS:
            grid = root / "plots/grids" / adapter / f"{captions}.png"
            write_bytes(grid, png_bytes(Image.fromarray(picture(grid.name, 530))))
        for adapter in FINE_TUNED:
            write_metrics(root, f"finetune/{captions}-{adapter}", {"val_loss": 0.6, "note": "text"})
            step = np.arange(10, 110, 10)
            held_out = np.where(step % 50 == 0, 1 / step, np.nan)
            columns = {"seed": 0, "step": step, "train_loss": 1 / step, "val_loss": held_out}
            columns |= {f"val_loss_sigma_{s}": held_out * (1 + s) for s in (0.1, 0.5, 0.9)}
            curve = pd.DataFrame(columns)
            write_csv(root / f"plots/finetune/{captions}-{adapter}.csv", curve, gaps=list(curve))
    write_bytes(root / "plots/grids/real.png", png_bytes(Image.fromarray(picture("real", 530))))
    prompts = {"id": IDS[:4], "blip2": [f"a short prompt {i}" for i in range(4)], "llama3": ["a long one"] * 4}
    write_csv(root / "data/scores/prompts.csv", pd.DataFrame(prompts))
    curves = {"guidance_curve": {"guidance_scale": [1, 3, 5]}, "step_curve": {"step": [0, 50, 100]}}
    for stage, points in curves.items():
        write_csv(root / f"plots/{stage}.csv", pd.DataFrame(points | {"seed": 0, "n": 100, "fid": [60, 7, 9]}))
    for stage in PREFIXES:
        if stage not in ("score", *(f"finetune@{c}-{a}" for c in PUBLISHED for a in FINE_TUNED)):
            write_metrics(root, stage.replace("@", "/"), {"digit_accuracy": 0.97, "n": 1500})
    write_metrics(root, "guidance_curve", {"n": 100, "best_guidance_scale": 3})
    write_metrics(root, "step_curve", {"n": 100, "first_fid": 60.0, "last_fid": 9.0})
    write_block_inputs(root)
    write_attention_inputs(root)
    write_series_inputs(root)
    write_caption_inputs(root)
    write_personal_inputs(root)


def write_metrics(root: Path, stage: str, values: dict) -> None:
    write_json(root / "metrics" / f"{stage}.json", values)
