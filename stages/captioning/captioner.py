"""Train captioners on one kind of data, one for each seed: a projector and LoRA on frozen models; caption the test images.

A finished seed is kept: a longer list of seeds, or a run that was stopped, trains only those that are missing.
"""

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from difflab.captioning.captioner_model.captioner_folder import bases_of, new_captioner, save_captioner
from difflab.captioning.captioner_model.visual_prefix import Captioner
from difflab.captioning.captioner_training import TitledFeatures, train_captioner
from difflab.captioning.mixed_set import MixedSet
from difflab.captioning.params import CaptionerInputs, CaptionerParams
from difflab.core.base import rng
from difflab.core.base.files import atomic_path, read_json, read_parquet, write_csv, write_json, write_parquet
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.stage import Stage, run
from difflab.training.curve import best_row

if TYPE_CHECKING:
    from difflab.training.curve import Row
    from difflab.training.loop import Log


def main(stage: Stage[CaptionerInputs], *, data: str) -> None:
    settings, runtime, mixed = stage.params.captioner, stage.params.runtime, MixedSet()
    parts = {"train": mixed.part("train", data), "val": mixed.part("val"), "test": mixed.part("test")}
    scratch, kept = stage.scratch(), stage.kept("captioner.seeds")
    folders = {seed: kept / f"seed-{seed}" for seed in sorted(settings.seeds)}
    seen: dict[str, TitledFeatures] = {}
    for seed, folder in folders.items():
        what, log = f"captioner {data}-{seed}", seed_log(stage, seed)
        if folder.exists():
            print(f"{what}: kept from an earlier run", flush=True)
            for row in read_parquet(folder / "curve.parquet").to_dict("records"):
                log(row, step=row.pop("step"))
            continue
        own_seed = rng.key(stage.params.seed, "captioner", seed)  # the same for all data: captioners are paired by it
        captioner = new_captioner(settings, own_seed, resolve_device(runtime.device), resolve_dtype(runtime.dtype))
        seen = seen or {name: titled(captioner, mixed, rows) for name, rows in parts.items()}
        rows = train_captioner(
            captioner, seen["train"], seen["val"], settings.training, seed=own_seed, scratch=scratch, what=what, log=log
        )
        with atomic_path(scratch / folder.name) as made:
            save(made, captioner, settings, rows, captioner.write(seen["test"].features, settings.decoding))
        with contextlib.suppress(OSError):  # a queued experiment has just kept the same bytes
            (scratch / folder.name).rename(folder)
    metrics = join(data, folders, mixed, parts)
    stage.write_metrics(f"metrics/captioner/{data}.json", metrics)
    mean = metrics["val_loss"]
    stage.done(f"wrote models/captioner/{data}, {len(folders)} captioners, mean validation loss {mean:.4f}")


def save(folder: Path, captioner: Captioner, settings: CaptionerParams, rows: "list[Row]", captions: list[str]) -> None:
    """Write what one seed gives: the model, its curve, and its final values with the captions of the test images."""
    best = best_row(rows)
    assert best is not None  # the training ends with its weights
    save_captioner(folder / "model", captioner, settings, bases_of())
    write_parquet(folder / "curve.parquet", pd.DataFrame(rows))
    result = {"trained_parameters": sum(p.numel() for p in captioner.parameters() if p.requires_grad)}
    result |= {"train_loss": rows[-1]["train_loss"], "val_loss": best["val_loss"], "best_step": best["step"]}
    write_json(folder / "result.json", {**result, "distinct_captions": len(set(captions)), "captions": captions})


def join(data: str, folders: dict[int, Path], mixed: MixedSet, parts: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Write the models, curves and captions of all seeds; returns their metrics, means over seeds and each seed's own."""
    with atomic_path(f"models/captioner/{data}") as models:
        for seed, folder in folders.items():
            shutil.copytree(folder / "model", models / f"seed-{seed}")
    curves = [pd.DataFrame({"seed": s, **read_parquet(folder / "curve.parquet")}) for s, folder in folders.items()]
    write_csv(f"plots/captioner/{data}.csv", pd.concat(curves))
    results = {seed: read_json(folder / "result.json") for seed, folder in folders.items()}
    captions = {seed: result.pop("captions") for seed, result in results.items()}
    mixed.write_captions(f"data/captions/captioner/{data}.parquet", parts["test"], captions)
    sizes = [result.pop("trained_parameters") for result in results.values()]
    table, train = pd.DataFrame(results).T, parts["train"]
    metrics = {"train_images": len(train), "train_titles": int(train["titles"].map(len).sum())}
    metrics |= {"trained_parameters": sizes[0], "test_images": len(parts["test"]), "seeds": len(folders)}
    metrics |= {**table.mean(), **table.std().dropna().add_suffix("_std")}  # one seed has no deviation
    return metrics | {f"seed_{seed}_{name}": value for seed, own in results.items() for name, value in own.items()}


def seed_log(stage: Stage[CaptionerInputs], seed: int) -> "Log":
    """Curves of one seed: `seed-0/val_loss`."""
    return lambda values, step: stage.run.log_metrics({f"seed-{seed}/{k}": v for k, v in values.items()}, step=step)


def titled(captioner: Captioner, mixed: MixedSet, rows: pd.DataFrame) -> TitledFeatures:
    """Some rows as every captioner sees them; the frozen encoder looks at each picture once."""
    features = torch.cat([captioner.encode(images) for images in mixed.images(rows)])
    return TitledFeatures(rows["id"].tolist(), features, [tuple(map(str, titles)) for titles in rows["titles"]])


if __name__ == "__main__":
    run(main)
