"""Text encoders: draw them from the seed and teach the CLIP-like ones, or point to released ones."""

from pathlib import Path

from difflab.core.base.roles import resolve
from difflab.core.base.stage import Stage, run
from difflab.miniature.data.bundled import held_out_digits, training_digits
from difflab.miniature.params import ZooTextInputs
from difflab.miniature.zoo import small_text_encoders as text_encoders
from difflab.models.pointers import point_to
from difflab.models.vision import vision_encoder
from difflab.training.supervised import fit

FOLDER = Path("models/zoo/text")


def main(stage: Stage[ZooTextInputs]) -> None:
    params, seed, split = stage.params.zoo.text, stage.params.seed, stage.params.split
    if point_to(stage, params.hub, FOLDER):
        return
    vision = vision_encoder.load(resolve("models/zoo/vision_encoder"))
    models = text_encoders.draw_text_models(params, seed)
    sides = text_encoders.build_sides({role: models[role][0] for role in text_encoders.CLIP_ROLES}, vision.dim, seed)
    tokenizer = models["text_encoder"][1]
    digits = training_digits(split)
    pairs = text_encoders.draw_pairs(vision, tokenizer, digits, params.num_images, seed, "zoo text training")
    loss = text_encoders.batch_loss(sides, pairs, params.training.batch_size, seed)
    fit(sides, loss, params.training, scratch=stage.scratch(), log=stage.run.log_metrics, what="text encoders")
    unseen = held_out_digits(split)
    held_out = text_encoders.draw_pairs(vision, tokenizer, unseen, params.num_held_out, seed, "zoo text held out")
    metrics = text_encoders.zero_shot_accuracy(sides, tokenizer, held_out)
    text_encoders.save_text_models(FOLDER, models)
    stage.write_metrics("metrics/zoo_text.json", {"trained": 1, **metrics})
    weights = sum(p.numel() for encoder, _ in models.values() for p in encoder.parameters())
    stage.done(
        f"wrote {FOLDER}, three encoders of {weights:,} weights; the caption nearest to a held-out picture names its "
        f"digit in {metrics['text_encoder_2_digit_accuracy']:.1%}"
    )


if __name__ == "__main__":
    run(main)
