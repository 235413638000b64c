"""Pretrain the SD3 transformer by rectified flow on captioned pictures, or point to the published one."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers.schedulers import FlowMatchEulerDiscreteScheduler

from difflab.core.base import roles, runtime
from difflab.core.base.files import atomic_path
from difflab.core.base.roles import load_vae
from difflab.core.base.stage import Stage, run
from difflab.miniature.data.bundled import training_digits
from difflab.miniature.params import ZooTransformerInputs
from difflab.miniature.zoo import small_transformer
from difflab.models.pointers import point_to
from difflab.sd3.artifacts.components import write_components
from difflab.sd3.artifacts.prompt_embeds import PromptTable
from difflab.sd3.caching.latent_writer import moments, pack
from difflab.sd3.caching.prompt_writer import TextEncoders, write_prompts
from difflab.sd3.training.density import SigmaDensity
from difflab.sd3.training.examples import Examples
from difflab.sd3.training.flow_training import train_flow
from difflab.sd3.training.latents import LatentTable
from difflab.training.curve import final_metrics

FOLDER, VAE, TEXT = Path("models/zoo/transformer"), Path("models/zoo/vae"), Path("models/zoo/text")


def main(stage: Stage[ZooTransformerInputs]) -> None:
    params, seed = stage.params.zoo.transformer, stage.params.seed
    if point_to(stage, params.hub, FOLDER):
        return
    examples, held_out = picture_examples(stage)
    prompt_embeds, pooled = examples.prompts.gather(torch.tensor([0]))
    widths = {"joint_attention_dim": prompt_embeds.shape[-1], "pooled_projection_dim": pooled.shape[-1]}
    transformer = small_transformer.build(params, seed, latent_shape=examples.latents.shape, **widths)
    rows = train_flow(
        transformer, examples, held_out, params.training, SigmaDensity(params.density, params.logit_mean), seed=seed,
        runtime=stage.params.runtime, scratch=stage.scratch(), what="transformer", log=stage.run.log_metrics,
    )  # fmt: skip
    if runtime.process_index()[0] != 0:
        return
    with atomic_path(FOLDER) as temporary:
        transformer.save_pretrained(temporary / "transformer")
        scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=params.density.shift)
        scheduler.save_pretrained(temporary / "scheduler")
        write_components(temporary, {"vae": roles.fingerprint(VAE), "text_encoders": roles.fingerprint(TEXT)})
    metrics = {**final_metrics(rows), "parameters": sum(p.numel() for p in transformer.parameters())}
    stage.write_metrics("metrics/zoo_transformer.json", metrics)
    stage.done(f"wrote {FOLDER}, held-out loss {rows[0]['val_loss']:.4f} -> {rows[-1]['val_loss']:.4f}")


def picture_examples(stage: Stage[ZooTransformerInputs]) -> tuple[Examples, Examples]:
    """Pictures of training digits and of held-out ones: their latents and both captions, encoded here."""
    params, seed, scratch = stage.params.zoo.transformer, stage.params.seed, stage.scratch()
    device = runtime.resolve_device(stage.params.runtime.device)
    digits = training_digits(stage.params.split)
    unseen = digits[:: small_transformer.HELD_OUT_EVERY]
    seen, share = np.array(sorted(set(digits) - set(unseen))), params.photo_fraction
    drawn = (seen, params.num_images, "training"), (unseen, params.num_held_out, "held-out")
    parts = [small_transformer.draw(rows, count, share, seed, purpose) for rows, count, purpose in drawn]
    vae = load_vae(roles.resolve(VAE), device)
    images = torch.cat([part.images for part in parts])
    encoded = [moments(vae, batch) for batch in images.split(64)]
    mean, logvar = (torch.cat(column).cpu() for column in zip(*encoded, strict=True))
    ids, packed = [id for part in parts for id in part.ids], pack(mean, logvar, None, torch.float32)
    scaling = {name: vae.config[name] for name in ("shift_factor", "scaling_factor")}
    latents = LatentTable(ids, [packed], **scaling)
    captions = pd.concat([part.caption_table() for part in parts], ignore_index=True)
    text = TextEncoders(roles.resolve(TEXT), params.max_sequence_length, device, torch.float32)
    sizes = {"batch_size": 64, "shard_size": 4096}
    fingerprint = roles.fingerprint(TEXT)
    write_prompts(scratch / "prompts", captions, text, fingerprint, dtype=torch.bfloat16, scratch=scratch, **sizes)
    prompts, variants = PromptTable(scratch / "prompts"), small_transformer.VARIANTS
    train, held_out = (
        Examples(latents, prompts, part.ids, torch.stack([prompts.rows(part.ids, v) for v in variants], dim=1))
        for part in parts
    )
    return train, held_out


if __name__ == "__main__":
    run(main)
