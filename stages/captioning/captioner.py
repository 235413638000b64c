"""Train the captioner on one kind of data: a projector and LoRA on frozen models; then caption the test images."""

from pathlib import Path

import pandas as pd
import torch

from difflab.captioning.captioner.captioner_training import TitledFeatures, train_captioner
from difflab.captioning.captioner_model.captioner_folder import load_bases, save_captioner
from difflab.captioning.captioner_model.visual_prefix import Captioner
from difflab.captioning.mixed_set import VARIANT, MixedSet
from difflab.captioning.params.inputs import CaptionerInputs
from difflab.core.base import rng
from difflab.core.base.files import write_csv
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.stage import Stage, run
from difflab.images.store.captions import write_captions
from difflab.training.curve import best_row


def main(stage: Stage[CaptionerInputs], *, data: str, seed: str) -> None:
    params, runtime = stage.params.captioner, stage.params.runtime
    scratch, cell = stage.scratch(), f"{data}-{seed}"
    mixed = MixedSet()
    test = mixed.part("test")
    own_seed = rng.key(stage.params.seed, "captioner", seed)  # the same for all data: cells are paired by it
    bases = load_bases(resolve_device(runtime.device), resolve_dtype(runtime.dtype))
    captioner = bases.captioner(params, own_seed)

    train = titled(captioner, mixed, mixed.part("train", data))
    rows = train_captioner(
        captioner,
        train,
        titled(captioner, mixed, mixed.part("val")),
        params.training,
        seed=own_seed,
        scratch=scratch,
        what=f"captioner {cell}",
        log=stage.run.log_metrics,
    )
    best = best_row(rows)
    assert best is not None  # the training ends with its weights
    captions = captioner.write(titled(captioner, mixed, test).features, params.decoding)

    folder = Path("models/captioner") / cell
    save_captioner(folder, captioner, params, bases.identity)
    write_csv(f"plots/captioner/{cell}.csv", pd.DataFrame(rows))
    table = {"id": test["id"], "variant": VARIANT, "caption": captions, "source_sha256": mixed.sha256(test)}
    write_captions(f"data/captions/captioner/{cell}.parquet", pd.DataFrame(table))
    metrics = {
        "train_images": len(train.ids),
        "train_titles": sum(map(len, train.titles)),
        "trained_parameters": sum(p.numel() for p in captioner.parameters() if p.requires_grad),
        "train_loss": rows[-1]["train_loss"],
        "val_loss": best["val_loss"],
        "best_step": best["step"],
        "test_images": len(captions),
        "distinct_captions": len(set(captions)),
    }
    stage.write_metrics(f"metrics/captioner/{cell}.json", metrics)
    stage.done(f"wrote {folder}, validation loss {best['val_loss']:.4f}, the lowest, after step {best['step']}")


def titled(captioner: Captioner, mixed: MixedSet, rows: pd.DataFrame) -> TitledFeatures:
    """Some rows as the captioner sees them; the frozen encoder looks at each picture once."""
    features = torch.cat([captioner.encode(images) for images in mixed.images(rows)])
    titles = [tuple(str(title) for title in own) for own in rows["titles"]]
    return TitledFeatures(rows["id"].tolist(), features, titles)


if __name__ == "__main__":
    run(main)
