"""Synthetic pictures: a text-to-image model makes one for every variation of a title."""

from pathlib import Path

import numpy as np

from difflab.captioning.params import SynthesizeInputs
from difflab.captioning.picture_titles import read_variations, title_accuracy
from difflab.captioning.synthetic_images import SEED, write_synthetic
from difflab.core.base.files import png_bytes, write_bytes
from difflab.core.base.roles import resolve
from difflab.core.base.runtime import resolve_device, resolve_dtype
from difflab.core.base.sharding import process_chunks
from difflab.core.base.stage import Stage, run
from difflab.core.base.store.image_store import ImageStore
from difflab.images.generated.writer import write_generated
from difflab.images.sheet import contact_sheet
from difflab.metrics.features.features import VisionEncoderExtractor
from difflab.models.pipelines.prompted import Options, PromptedSampler, load_pipeline

SOURCE, OUTPUT = "data/titles/variations.parquet", Path("data/synthetic")
SHEET, METRICS = "plots/synthetic.png", "metrics/synthesize.json"
BATCHES_PER_CHUNK = 4  # what a killed run loses at most, per process; a chunk's last pictures are encoded by themselves
MODEL, JUDGE = "models/zoo/diffusion", "models/zoo/vision_encoder"


def main(stage: Stage[SynthesizeInputs]) -> None:
    settings, runtime, seed = stage.params.synthesize, stage.params.runtime, stage.params.seed
    titles = read_variations(SOURCE)
    prompts = {id: title + settings.positive for id, title in titles.items()}
    options = Options(settings.scheduler, settings.num_inference_steps, settings.guidance_scale, settings.negative)
    device, dtype = resolve_device(runtime.device), resolve_dtype(runtime.dtype)
    pipeline = load_pipeline(resolve(MODEL), device, dtype, settings.vae, settings.offload)
    sampler = PromptedSampler(pipeline, distilled=False, seed=seed, batch_size=settings.batch_size)

    def synthesize(ids: list[str], path: Path) -> None:
        batches = sampler.images(ids, [prompts[id] for id in ids], options)
        write_generated(path, ids, {SEED: (image for batch in batches for image in batch)})

    chunk_size, scratch = settings.batch_size * BATCHES_PER_CHUNK, stage.scratch()
    parts = process_chunks(list(titles), chunk_size, scratch, synthesize, what="synthetic images", suffix=".zip")
    if parts is None:
        return
    write_synthetic(OUTPUT, titles, parts, settings.image_size)
    store = ImageStore(OUTPUT)
    shown = store.ids[: settings.sheet_images]
    images = [np.asarray(image) for image in store.read(shown)]
    write_bytes(SHEET, png_bytes(contact_sheet(images, [titles[id] for id in shown], ncols=6)))
    truncations = [line for prompt in prompts.values() if (line := sampler.truncation(prompt))]
    for line in sorted(set(truncations))[:5]:
        print(f"a prompt of {line}")
    pictures, extractor = (
        (store.read([id])[0] for id in store.ids),
        VisionEncoderExtractor(resolve(JUDGE), runtime.device),
    )
    shares = title_accuracy(pictures, [titles[id] for id in store.ids], extractor)
    facts = {"n": len(store), "prompts_truncated": len(truncations), "ruler": extractor.ruler}
    stage.write_metrics(METRICS, facts | shares)
    judged = [f", {name.replace('_', ' ')} {share:.1%}" for name, share in shares.items()]
    stage.done(f"wrote {OUTPUT}, {len(store):,} images{''.join(judged)}")


if __name__ == "__main__":
    run(main, split=True)
