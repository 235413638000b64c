"""Train the small Stable Diffusion on titled pictures of digits that no recipe shows, or point to a released one."""

from collections.abc import Callable
from pathlib import Path

from difflab.core.base.files import atomic_path
from difflab.core.stage import Stage, run
from difflab.miniature.params.inputs import ZooDiffusionInputs
from difflab.models.pointers import point_to
from difflab.models.roles import resolve

FOLDER = Path("models/zoo/diffusion")
METRICS = "metrics/zoo_diffusion.json"


def main(stage: Stage[ZooDiffusionInputs]) -> None:
    params = stage.params.zoo.diffusion
    if point_to(stage, params.hub, FOLDER):
        return
    from difflab.core.base.runtime import resolve_device
    from difflab.miniature.archives.set_pictures import untitled_digits
    from difflab.miniature.zoo import prompt_encoder, small_diffusion
    from difflab.miniature.zoo.tokenizers import clip_tokenizer
    from difflab.models.pretrained import load_vae
    from difflab.training.supervised import fit

    def log(part: str) -> Callable[..., None]:
        return lambda values, step: stage.run.log_metrics({f"{part}_{k}": v for k, v in values.items()}, step=step)

    seed, device = stage.params.seed, resolve_device(stage.params.runtime.device)
    vae, tokenizer = load_vae(resolve("models/zoo/vae"), device), clip_tokenizer(params.max_length)
    prompts, scratch = prompt_encoder.all_prompts(tokenizer), stage.scratch()
    namer = prompt_encoder.build(params, tokenizer, seed).to(device)
    text_loss = prompt_encoder.batch_loss(namer, prompts, params.text_training.batch_size, seed)
    fit(namer, text_loss, params.text_training, scratch=scratch, log=log("text"), what="text encoder")
    text_encoder = namer.eval().encoder

    unet = small_diffusion.build(params, vae, seed).to(device)
    pictures = small_diffusion.draw_pictures(vae, untitled_digits(seed), params, seed)
    loss = small_diffusion.batch_loss(
        unet, pictures, prompts, prompt_encoder.embed(text_encoder, prompts), params, seed
    )
    rows = fit(unet, loss, params.training, scratch=scratch, log=log("unet"), what="diffusion")
    with atomic_path(FOLDER) as temporary:
        small_diffusion.save(temporary, unet.eval(), text_encoder, vae, tokenizer)
    named = prompt_encoder.accuracy(namer, prompts)
    parameters = sum(p.numel() for p in (*unet.parameters(), *text_encoder.parameters()))
    values = {"v_error": rows[-1]["train_loss"], "titles_named": named, "parameters": parameters}
    stage.write_metrics(METRICS, {"trained": 1, **values})
    stage.done(f"wrote {FOLDER}, {parameters:,} weights, error of v {values['v_error']:.3f}")


if __name__ == "__main__":
    run(main)
