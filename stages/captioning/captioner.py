"""Train captioners on one kind of data: a projector and LoRA on frozen models; caption the test images.

There is one for each seed on all originals, and for each fewer number of originals and each subset seed.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from difflab.captioning.captioner_model.captioner_folder import bases_of, new_captioner, save_captioner
from difflab.captioning.captioner_model.visual_prefix import Captioner
from difflab.captioning.mixed_set import MixedSet
from difflab.captioning.params import CaptionerInputs, CaptionerParams
from difflab.captioning.training.captioner_training import TitledFeatures, train_captioner
from difflab.captioning.training.trainings import Training, training_rows, trainings
from difflab.core.base import rng
from difflab.core.base.files import atomic_path, read_json, write_csv, write_json
from difflab.core.base.runtime import process_index, resolve_device, resolve_dtype
from difflab.core.base.stage import Stage, run
from difflab.training.curve import CURVE_GAPS, best_row
from difflab.training.seeds import Save, named_log, save_curve, seed_curves, seed_metrics, train_all

if TYPE_CHECKING:
    from difflab.training.curve import Row


def main(stage: Stage[CaptionerInputs], *, data: str) -> None:
    settings, runtime, mixed = stage.params.captioner, stage.params.runtime, MixedSet()
    parts = {"train": mixed.part("train", data), "val": mixed.part("val"), "test": mixed.part("test")}
    scratch, log = stage.scratch(), stage.run.log_metrics
    seen: dict[str, TitledFeatures] = {}

    def train(training: Training, rows: pd.DataFrame) -> Save:
        own_seed = key(stage, training)
        captioner = new_captioner(settings, own_seed, resolve_device(runtime.device), resolve_dtype(runtime.dtype))
        for split in parts.keys() - seen:
            seen[split] = titled(captioner, mixed, parts[split])
        curve = train_captioner(
            captioner, seen["train"].part(set(rows["id"])), seen["val"], settings.training, seed=own_seed,
            scratch=scratch, what=f"captioner {data}-{training.name}", log=named_log(log, training.name),
        )  # fmt: skip
        captions = captioner.write(seen["test"].features, settings.decoding) if process_index()[0] == 0 else []
        return partial(save, captioner=captioner, settings=settings, rows=curve, captions=captions, images=len(rows))

    named = {training.name: training for training in trainings(settings, data)}
    rows = {name: training_rows(parts["train"], data, t.originals, key(stage, t)) for name, t in named.items()}
    kept = stage.kept("captioner.seeds", "captioner.subset_seeds", "captioner.originals")
    calls = {name: partial(train, training, rows[name]) for name, training in named.items()}
    folders = train_all(calls, kept=kept, scratch=scratch, what=f"captioner {data}", log=log)
    if process_index()[0] > 0:  # the main process writes
        return
    metrics = join(data, {named[name]: folder for name, folder in folders.items()}, mixed, parts)
    stage.write_metrics(f"metrics/captioner/{data}.json", metrics)
    mean = metrics["val_loss"]
    stage.done(f"wrote models/captioner/{data}, {len(folders)} captioners, mean validation loss {mean:.4f} on all data")


def key(stage: Stage[CaptionerInputs], training: Training) -> int:
    """The seed of one training, the same for all kinds of data, which are paired by it."""
    return rng.key(stage.params.seed, "captioner", training.seed)


def save(
    folder: Path, captioner: Captioner, settings: CaptionerParams, rows: "list[Row]", captions: list[str], images: int
) -> None:
    """Write what one training gives: the model, its curve, its final values with the captions of the test images."""
    best = best_row(rows)
    assert best is not None  # the training ends with its weights
    save_captioner(folder / "model", captioner, settings, bases_of())
    save_curve(folder, rows)
    result = {"trained_parameters": sum(p.numel() for p in captioner.parameters() if p.requires_grad)}
    result |= {"train_images": images, "train_loss": rows[-1]["train_loss"], "val_loss": best["val_loss"]}
    result |= {"best_step": best["step"], "distinct_captions": len(set(captions))}
    write_json(folder / "result.json", {**result, "captions": captions})


def join(data: str, folders: dict[Training, Path], mixed: MixedSet, parts: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Write models and curves of the trainings on all originals, and the captions of all trainings.

    Returns:
        Metrics of the trainings on all originals: means over seeds, the spread between them, and each seed's own;
        then, for each fewer number of originals, how many images were trained on and the losses, means over seeds.
    """
    whole = {training.seed: folder for training, folder in folders.items() if training.originals is None}
    with atomic_path(f"models/captioner/{data}") as models:
        for folder in whole.values():
            shutil.copytree(folder / "model", models / folder.name)
    write_csv(f"plots/captioner/{data}.csv", seed_curves(whole), gaps=CURVE_GAPS)
    results = {training: read_json(folder / "result.json") for training, folder in folders.items()}
    captions = {training.name: result.pop("captions") for training, result in results.items()}
    mixed.write_captions(f"data/captioner/{data}.parquet", parts["test"], captions)
    sizes = [result.pop("trained_parameters") for result in results.values()]
    train = parts["train"]
    metrics: dict[str, float] = {"train_images": len(train), "train_titles": int(train["titles"].map(len).sum())}
    metrics |= {"trained_parameters": sizes[0], "test_images": len(parts["test"]), "seeds": len(whole)}
    table = pd.DataFrame([{**training._asdict(), **result} for training, result in results.items()])
    own = table[table["originals"].isna()].set_index("seed").drop(columns=["originals", "train_images"])
    metrics |= own.std().dropna().add_suffix("_spread").to_dict()  # one seed has none
    metrics |= seed_metrics(own.to_dict("index"))
    for size, rows in table.groupby("originals"):
        means = rows[["train_images", "train_loss", "val_loss", "best_step"]].mean()
        metrics |= {f"originals_{size:g}_{name}": value for name, value in means.items()}
    return metrics


def titled(captioner: Captioner, mixed: MixedSet, rows: pd.DataFrame) -> TitledFeatures:
    """Some rows as every captioner sees them; the frozen encoder looks at each picture once."""
    features = torch.cat([captioner.encode(images) for images in mixed.images(rows)])
    return TitledFeatures(rows["id"].tolist(), features, [tuple(map(str, titles)) for titles in rows["titles"]])


if __name__ == "__main__":
    run(main, split=True)
