"""What references 001 and 002 ask, answered by figures that the summary holds, with the command that makes them."""

from difflab.cli.references import answers

DENOISING = {
    "denoising_noisy_clipped_psnr": 15.07, "denoising_v1_clipped_psnr": 24.06, "denoising_v1_clipped_psnr_low": 23.56,
    "denoising_v1_clipped_psnr_high": 24.56,
}  # fmt: skip
PERSONAL = {
    "personal_pictures": 9, "personal_steps": 60, "personal_base_subject_accuracy": 0.0,
    "personal_lora_none_subject_accuracy": 0.5, "personal_images_none_drift_difference": -0.9,
    "personal_images_none_drift_difference_low": -1.5, "personal_images_none_drift_difference_high": -0.3,
    "personal_images_none_drift_verdict": "better",
}  # fmt: skip


def test_a_row_for_each_question_whose_figures_are_there():
    text = answers(DENOISING | PERSONAL)
    rows = text.splitlines()[2:]
    assert len(rows) == 3
    assert "| 25.11 dB from 14.64 | 24.06 dB ± 0.50 from 15.07 | `difflab repro denoise_score` |" in rows[0]
    assert "Does LoRA on 9 pictures show the subject, 60 steps? | – | in 50.0 % of pictures of new prompts" in rows[1]
    assert "it drifts less than without: −0.90 ± 0.60 in KID | `difflab repro personal` |" in rows[2]


def test_without_figures_nothing_is_said():
    assert answers({}) == ""
    assert "subject" not in answers(DENOISING | {"personal_judge_accuracy": 0.5})
