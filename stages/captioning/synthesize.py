"""Synthetic pictures: a text-to-image model makes one for every variation of a title."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from difflab.captioning.params.inputs import SynthesizeInputs
from difflab.captioning.synthetic_images import write_part, write_synthetic
from difflab.captioning.title_accuracy import title_accuracy
from difflab.captioning.variations_table import read_variations
from difflab.core.base.files import png_bytes, write_bytes
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.sharding import process_chunks
from difflab.core.stage import Stage, run
from difflab.images.sheet import contact_sheet
from difflab.images.store.image_store import ImageStore
from difflab.metrics.features.features import VisionEncoderExtractor
from difflab.models.pipelines.prompted import Options, PromptedSampler, load_pipeline
from difflab.models.roles import resolve

SOURCE, OUTPUT = "data/titles/variations.parquet", Path("data/synthetic")
SHEET, METRICS = "plots/synthetic.png", "metrics/synthesize.json"
MODEL, JUDGE = "models/zoo/diffusion", "models/zoo/vision_encoder"


def main(stage: Stage[SynthesizeInputs]) -> None:
    settings, runtime, seed = stage.params.synthesize, stage.params.runtime, stage.params.seed
    titles = read_variations(SOURCE)
    prompts = {id: title + settings.positive for id, title in titles.items()}
    options = Options(settings.scheduler, settings.num_inference_steps, settings.guidance_scale, settings.negative)
    pipeline = load_pipeline(resolve(MODEL), resolve_device(runtime.device), resolve_dtype(runtime.dtype))
    sampler = PromptedSampler(pipeline, distilled=False, seed=seed, batch_size=settings.batch_size)

    def synthesize(ids: list[str], path: Path) -> None:
        write_part(path, sampler, prompts, ids, options)

    parts = process_chunks(
        list(titles), settings.batch_size, stage.scratch(), synthesize, what="synthetic images", suffix=".zip"
    )
    if parts is None:
        return
    write_synthetic(OUTPUT, titles, parts, settings.image_size)
    store = ImageStore(OUTPUT)
    shown = store.ids[: settings.sheet_images]
    images = [np.asarray(image) for image in store.read(shown)]
    write_bytes(SHEET, png_bytes(contact_sheet(images, [titles[id] for id in shown], ncols=6)))
    cuts = [cut for prompt in prompts.values() if (cut := sampler.truncation(prompt))]
    for line in sorted(set(map(str, cuts)))[:5]:
        print(f"a prompt of {line}")
    metrics = {"n": len(store), "prompts_truncated": len(cuts)} | accuracy(store, titles, runtime.device)
    stage.write_metrics(METRICS, metrics)
    judged = (
        f", {metrics['digit_accuracy']:.1%} with the digit and {metrics['photo_accuracy']:.1%} with the photograph "
        "of the title"
    )
    stage.done(f"wrote {OUTPUT}, {len(store):,} images" + (judged if "digit_accuracy" in metrics else ""))


def accuracy(store: ImageStore, titles: dict[str, str], device: str) -> dict[str, float | None]:
    """`title_accuracy` of the stored pictures by the vision encoder."""
    extractor = VisionEncoderExtractor(resolve(JUDGE), device)
    images = (image for part in chunks(store.ids) for image in store.read(part))
    return title_accuracy(images, [titles[id] for id in store.ids], extractor)


def chunks(ids: list[str], size: int = 256) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


if __name__ == "__main__":
    run(main)
