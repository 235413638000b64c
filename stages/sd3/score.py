"""Score the images of all trainings of all cells: distances, neighbours and classes, beside the floor of real images."""

import itertools
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from difflab.core.base.files import png_bytes, write_bytes, write_csv, write_parquet
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.datasets import data_set_of
from difflab.images.generated.reader import GeneratedImages
from difflab.images.generated.writer import figure_drawn, grid
from difflab.sd3.artifacts.cells import ADAPTERS, FINE_TUNED, archive_path, kinds, read_kind
from difflab.sd3.params import ScoreInputs
from difflab.sd3.score_summary import compared, summarise
from difflab.sd3.scoring import scores
from difflab.sd3.scoring.looks import PictureSet

if TYPE_CHECKING:
    from PIL import Image


def main(stage: Stage[ScoreInputs]) -> None:
    params, generate = stage.params.score, stage.params.generate
    store = ImageStore("data/celeba_hq")
    trainings, shown = sorted(stage.params.finetune.seeds), kinds()
    side = GeneratedImages(archive_path(ADAPTERS[0], shown[0], trainings[0])).side
    judge = scores.new_judge(store, params, stage.params.runtime.device, stage.params.seed, side)
    cells: dict[str, PictureSet] = {}
    labels: dict[str, dict[str, object]] = {}
    for adapter, captions, training in itertools.product(ADAPTERS, shown, trainings):
        generated = GeneratedImages(archive_path(adapter, captions, training))
        for draw in generated.seeds:
            own: dict[str, object] = {"adapter": adapter, "captions": captions, "training": training, "seed": draw}
            name = judge.check(ids := generated.ids(draw), **own)
            cells[name], labels[name] = PictureSet(ids, partial(generated.read, draw)), own
    n = scores.same_count([{"n": len(cell.ids)} for cell in cells.values()])
    floor = scores.floor_ids(store.split(params.floor_split), n, stage.params.seed)
    own = {"adapter": "real", "captions": "", "training": 0, "seed": 0}
    name = judge.check(floor, **own)
    cells[name], labels[name] = PictureSet(floor, scores.one_by_one(store)), own
    looked = scores.look_at_all(judge, store, cells, stage.scratch())
    if looked is None:  # the main process writes
        return
    rows = [judge.row(looked[name], cells[name].ids, **labels[name]) for name in cells]

    table = pd.DataFrame(rows).assign(
        extractor=judge.extractor.name,
        dim=judge.extractor.dim,
        resize=judge.resize,
        reference=f"{params.reference_split} split",
        reference_n=len(judge.reference),
        prompts=f"{generate.split} split",
        sampler="FlowMatchEulerDiscreteScheduler",
        num_inference_steps=generate.num_inference_steps,
        guidance_scale=generate.guidance_scale,
    )
    write_csv("plots/score.csv", table)
    write_parquet("data/scores/predictions.parquet", judge.all_predictions())
    prompts = store.split(generate.split)[: generate.grid_images]
    withheld = data_set_of(store.attributes.columns).people and not params.real_faces
    write_bytes("plots/grids/real.png", png_bytes(real_grid(store, prompts, withheld)))
    tables = {kind: read_kind(kind).set_index(["variant", "id"])["caption"] for kind in shown}
    captions = {kind: table[kind].loc[prompts] for kind, table in tables.items()}
    write_csv("data/scores/prompts.csv", pd.DataFrame(captions).rename_axis("id").reset_index())

    metrics = summarise(table) | compared(table, params.margin)
    metrics |= {"n": n, "trainings": len(trainings), "seeds": len(generate.seeds), "margin": params.margin}
    metrics |= {"floor_n": len(floor), "reference_n": len(judge.reference), "dim": judge.extractor.dim}
    facts = {"rank_deficient": int(n <= judge.extractor.dim), "ruler": judge.extractor.ruler}
    facts |= {"faces_withheld": 1} if withheld else {}
    stage.write_metrics("metrics/score.json", metrics | facts)
    worst = max(metrics[f"{adapter}_{captions}_fid"] for adapter in FINE_TUNED for captions in shown)
    floor_fid = f"floor {metrics['floor_fid']:.4g}, n {n}, {len(trainings)} trainings a cell"
    stage.done(f"wrote metrics/score.json; fine-tuned FID <= {worst:.4g}, {floor_fid}")


def real_grid(store: ImageStore, ids: list[str], withheld: bool) -> "Image.Image":
    """The real images of samples as a grid, or a drawn figure in the place of each."""
    images = [np.asarray(image) for image in store.read(ids)]
    return grid([figure_drawn(len(image)) for image in images] if withheld else images, ncols=8)


if __name__ == "__main__":
    run(main, split=True)
