"""Text encoders: draw them from the seed and teach the CLIP-like ones, or point to released ones."""

from pathlib import Path

from difflab.core.stage import Stage, run
from difflab.miniature.params.inputs import ZooTextInputs
from difflab.models.pointers import point_to
from difflab.models.roles import resolve

FOLDER = Path("models/zoo/text")
METRICS = "metrics/zoo_text.json"


def main(stage: Stage[ZooTextInputs]) -> None:
    params = stage.params.zoo.text
    if point_to(stage, params.hub, FOLDER):
        return
    from difflab.miniature.bundled import held_out_digits, training_digits
    from difflab.miniature.zoo import contrast, small_text_encoders
    from difflab.models.vision.vision_encoder import load
    from difflab.training.supervised import fit

    seed, split, settings = stage.params.seed, stage.params.split, params.training
    vision_encoder = load(resolve("models/zoo/vision_encoder"))
    models = small_text_encoders.draw_text_models(params, seed)
    sides = contrast.build(models.clips, vision_encoder.dim, seed)

    def draw(digits, count: int, purpose: str) -> contrast.Pairs:
        return contrast.draw_pairs(vision_encoder, models.clip_tokenizer, digits, count, seed, f"zoo text {purpose}")

    pairs = draw(training_digits(split, seed), params.num_images, "training")
    loss = contrast.batch_loss(sides, pairs, settings.batch_size, seed)
    fit(sides, loss, settings, scratch=stage.scratch(), log=stage.run.log_metrics, what="text encoders")
    sides.eval()
    held_out = draw(held_out_digits(split, seed), params.num_held_out, "held out")
    metrics = contrast.zero_shot_accuracy(sides, models.clip_tokenizer, held_out)
    small_text_encoders.save_text_models(FOLDER, models)
    stage.write_metrics(METRICS, {"trained": 1, **metrics})
    stage.done(
        f"wrote {FOLDER}, three encoders of {models.num_weights:,} weights; the caption nearest to a held-out "
        f"picture names its digit in {metrics['text_encoder_2_digit_accuracy']:.1%}"
    )


if __name__ == "__main__":
    run(main)
