"""Train the small Stable Diffusion on titled pictures of digits that no recipe shows, or point to a released one."""

from collections.abc import Callable
from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.base.roles import load_vae, resolve
from difflab.core.base.runtime import resolve_device
from difflab.core.base.stage import Stage, run
from difflab.miniature.archives.set_pictures import untitled_digits
from difflab.miniature.params import ZooDiffusionInputs
from difflab.miniature.zoo import prompt_encoder, small_diffusion
from difflab.miniature.zoo.tokenizers import clip_tokenizer
from difflab.models.pointers import point_to
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/diffusion")


def main(stage: Stage[ZooDiffusionInputs]) -> None:
    params, seed = stage.params.zoo.diffusion, stage.params.seed
    if point_to(stage, params.hub, FOLDER):
        return

    def log(part: str) -> Callable[..., None]:
        return lambda values, step: stage.run.log_metrics({f"{part}_{k}": v for k, v in values.items()}, step=step)

    device, scratch = resolve_device(stage.params.runtime.device), stage.scratch()
    vae, tokenizer = load_vae(resolve("models/zoo/vae"), device), clip_tokenizer(params.max_length)
    prompts = prompt_encoder.all_prompts(tokenizer)
    namer = prompt_encoder.build(params, tokenizer, seed).to(device)
    text_loss = prompt_encoder.batch_loss(namer, prompts, params.text_training.batch_size, seed)
    fit(namer, text_loss, params.text_training, scratch=scratch, log=log("text"), what="text encoder")

    unet, hidden = small_diffusion.build(params, vae, seed).to(device), prompt_encoder.embed(namer.encoder, prompts)
    pictures = small_diffusion.draw_pictures(vae, untitled_digits(), params, seed)
    loss = small_diffusion.batch_loss(unet, pictures, prompts, hidden, params, seed)
    rows = fit(unet, loss, params.training, scratch=scratch, log=log("unet"), what="diffusion")
    with atomic_path(FOLDER) as temporary:
        parts = {"unet": unet, "text_encoder": namer.encoder, "vae": vae, "tokenizer": tokenizer}
        small_diffusion.pipeline(**parts).save_pretrained(temporary)
    error, named = rows[-1]["train_loss"], prompt_encoder.accuracy(namer, prompts)
    parameters = sum(p.numel() for p in (*unet.parameters(), *namer.encoder.parameters()))
    values = {"v_error": error, "titles_named": named, "parameters": parameters}
    stage.write_metrics("metrics/zoo_diffusion.json", {"trained": 1, **values})
    stage.done(f"wrote {FOLDER}, {parameters:,} weights, error of v {error:.3f}")


if __name__ == "__main__":
    run(main)
