"""Train captioners on one kind of data: a projector and LoRA on frozen models; caption the test images.

There is one for each number of originals and each seed. A finished one is kept: longer lists, or a run that was
stopped, train only those that are missing.
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
from difflab.captioning.trainings import Training, training_rows, trainings
from difflab.core.base import rng
from difflab.core.base.files import atomic_path, read_json, read_parquet, write_csv, write_json, write_parquet
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.stage import Stage, run
from difflab.training.curve import CURVE_GAPS, best_row

if TYPE_CHECKING:
    from difflab.training.curve import Row
    from difflab.training.loop import Log


def main(stage: Stage[CaptionerInputs], *, data: str) -> None:
    settings, runtime, mixed = stage.params.captioner, stage.params.runtime, MixedSet()
    mixed.part("train", data)  # an error, where there is none
    train, parts = mixed.part("train"), {"val": mixed.part("val"), "test": mixed.part("test")}
    scratch, kept = stage.scratch(), stage.kept("captioner.seeds", "captioner.originals")
    folders = {training: kept / training.name for training in trainings(settings, data)}
    seeds = {seed: rng.key(stage.params.seed, "captioner", seed) for seed in settings.seeds}  # data are paired by them
    rows = {one: training_rows(train, data, one.originals, seeds[one.seed]) for one in folders}
    parts["train"] = rows[next(iter(rows))]
    seen: dict[str, TitledFeatures] = {}
    for training, folder in folders.items():
        what, log = f"captioner {data}-{training.name}", training_log(stage, training.name)
        if folder.exists():
            print(f"{what}: kept from an earlier run", flush=True)
            for row in read_parquet(folder / "curve.parquet").to_dict("records"):
                log(row, step=row.pop("step"))
            continue
        own_seed = seeds[training.seed]
        captioner = new_captioner(settings, own_seed, resolve_device(runtime.device), resolve_dtype(runtime.dtype))
        seen = seen or {name: titled(captioner, mixed, own) for name, own in parts.items()}
        curve = train_captioner(
            captioner, seen["train"].part(set(rows[training]["id"])), seen["val"], settings.training,
            seed=own_seed, scratch=scratch, what=what, log=log,
        )  # fmt: skip
        with atomic_path(scratch / folder.name) as made:
            captions = captioner.write(seen["test"].features, settings.decoding)
            save(made, captioner, settings, curve, captions, len(rows[training]))
        with contextlib.suppress(OSError):  # a queued experiment has just kept the same bytes
            (scratch / folder.name).rename(folder)
    metrics = join(data, folders, mixed, parts)
    stage.write_metrics(f"metrics/captioner/{data}.json", metrics)
    mean = metrics["val_loss"]
    stage.done(f"wrote models/captioner/{data}, {len(folders)} captioners, mean validation loss {mean:.4f} on all data")


def save(
    folder: Path, captioner: Captioner, settings: CaptionerParams, rows: "list[Row]", captions: list[str], images: int
) -> None:
    """Write what one training gives: the model, its curve, its final values with the captions of the test images."""
    best = best_row(rows)
    assert best is not None  # the training ends with its weights
    save_captioner(folder / "model", captioner, settings, bases_of())
    write_parquet(folder / "curve.parquet", pd.DataFrame(rows), gaps=CURVE_GAPS)
    result = {"trained_parameters": sum(p.numel() for p in captioner.parameters() if p.requires_grad)}
    result |= {"train_images": images, "train_loss": rows[-1]["train_loss"], "val_loss": best["val_loss"]}
    result |= {"best_step": best["step"], "distinct_captions": len(set(captions))}
    write_json(folder / "result.json", {**result, "captions": captions})


def join(data: str, folders: dict[Training, Path], mixed: MixedSet, parts: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Write models and curves of the trainings on all originals, and the captions of all trainings.

    Returns:
        Metrics of the trainings on all originals: means over seeds, and each seed's own; then, for each other number
        of originals, how many images were trained on and the losses, means over seeds.
    """
    whole = {training: folder for training, folder in folders.items() if training.originals is None}
    with atomic_path(f"models/captioner/{data}") as models:
        for training, folder in whole.items():
            shutil.copytree(folder / "model", models / training.name)
    curves = [pd.DataFrame({"seed": t.seed, **read_parquet(folder / "curve.parquet")}) for t, folder in whole.items()]
    write_csv(f"plots/captioner/{data}.csv", pd.concat(curves), gaps=CURVE_GAPS)
    results = {training: read_json(folder / "result.json") for training, folder in folders.items()}
    captions = {training.name: result.pop("captions") for training, result in results.items()}
    mixed.write_captions(f"data/captions/captioner/{data}.parquet", parts["test"], captions)
    sizes = [result.pop("trained_parameters") for result in results.values()]
    train = parts["train"]
    metrics: dict[str, float] = {"train_images": len(train), "train_titles": int(train["titles"].map(len).sum())}
    metrics |= {"trained_parameters": sizes[0], "test_images": len(parts["test"]), "seeds": len(whole)}
    own = pd.DataFrame([{"originals": t.originals, **result} for t, result in results.items()])
    table = own[own["originals"].isna()].drop(columns=["originals", "train_images"])
    metrics |= {**table.mean(), **table.std().dropna().add_suffix("_std")}  # one seed has no deviation
    for t in whole:
        named = {k: v for k, v in results[t].items() if k != "train_images"}
        metrics |= {f"seed_{t.seed}_{name}": value for name, value in named.items()}
    for size, rows in own.groupby("originals"):
        means = rows[["train_images", "train_loss", "val_loss", "best_step"]].mean()
        metrics |= {f"originals_{size:g}_{name}": value for name, value in means.items()}
    return metrics


def training_log(stage: Stage[CaptionerInputs], name: str) -> "Log":
    """Curves of one training: `seed-0/val_loss`."""
    return lambda values, step: stage.run.log_metrics({f"{name}/{k}": v for k, v in values.items()}, step=step)


def titled(captioner: Captioner, mixed: MixedSet, rows: pd.DataFrame) -> TitledFeatures:
    """Some rows as every captioner sees them; the frozen encoder looks at each picture once."""
    features = torch.cat([captioner.encode(images) for images in mixed.images(rows)])
    return TitledFeatures(rows["id"].tolist(), features, [tuple(map(str, titles)) for titles in rows["titles"]])


if __name__ == "__main__":
    run(main)
