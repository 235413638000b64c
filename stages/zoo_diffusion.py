"""Train the small Stable Diffusion on titled pictures of digits that no recipe shows, or point to a released one."""

from collections.abc import Callable
from pathlib import Path

from difflab.files import atomic_path
from difflab.stage import Stage, run
from difflab.zoo.roles import resolve, write_pointer

FOLDER = Path("models/zoo/diffusion")
METRICS = "metrics/zoo_diffusion.json"


def main(stage: Stage) -> None:
    params = stage.params.zoo.diffusion
    if params.hub:
        with atomic_path(FOLDER) as temporary:
            write_pointer(temporary, params.hub)
        stage.write_metrics(METRICS, {"trained": 0})
        return stage.done(f"wrote {FOLDER}, a pointer to {params.hub.repo_id}")
    from difflab.data.bundled_images import untitled_digits
    from difflab.runtime import resolve_device
    from difflab.training.supervised import fit
    from difflab.zoo import diffusion, naming
    from difflab.zoo.pretrained import load_vae
    from difflab.zoo.tokenizers import clip_tokenizer

    def log(part: str) -> Callable[[int, dict[str, float]], None]:
        return lambda step, values: stage.run.log_metrics(
            {f"{part}_{k}": v for k, v in values.items()}, step=step
        )

    seed, device = stage.params.seed, resolve_device(stage.params.runtime.device)
    vae, tokenizer = load_vae(resolve("models/zoo/vae"), device), clip_tokenizer(params.max_length)
    prompts, scratch = naming.all_prompts(tokenizer), stage.scratch()
    namer = naming.build(params, tokenizer, seed).to(device)
    text_loss = naming.batch_loss(namer, prompts, params.text_training.batch_size, seed)
    fit(namer, text_loss, params.text_training, scratch=scratch, log=log("text"), what="text encoder")
    text_encoder = namer.eval().encoder

    unet = diffusion.build(params, vae, seed).to(device)
    pictures = diffusion.draw_pictures(vae, untitled_digits(seed), params, seed)
    loss = diffusion.batch_loss(unet, pictures, prompts, naming.embed(text_encoder, prompts), params, seed)
    rows = fit(unet, loss, params.training, scratch=scratch, log=log("unet"), what="diffusion")
    with atomic_path(FOLDER) as temporary:
        diffusion.save(temporary, unet.eval(), text_encoder, vae, tokenizer)
    named = naming.accuracy(namer, prompts)
    parameters = sum(p.numel() for p in (*unet.parameters(), *text_encoder.parameters()))
    values = {"v_error": rows[-1]["loss"], "titles_named": named, "parameters": parameters}
    stage.write_metrics(METRICS, {"trained": 1, **values})
    stage.done(f"wrote {FOLDER}, {parameters:,} weights, error of v {values['v_error']:.3f}")


if __name__ == "__main__":
    run(main)
