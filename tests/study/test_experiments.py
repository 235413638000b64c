"""What `dvc exp run` says of values and names that cannot be, and what a copied workspace holds."""

import pytest

from study.shell import locked, run


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("profile=huge", ("profile/huge", "laptop", "paper", "smoke", "tiny")),
        ("experiment=nope", ("experiment/nope", "faces", "sd3_guidance_curve")),
        ("finetune.lora.rnk=3", ("finetune.lora.rnk",)),
        (
            "score.min_images=-3",
            ("ERROR: refused, nothing has changed: ", "score.min_images", "greater than or equal to 4"),
        ),
        ("step_curve.num_images=1", ("ERROR: refused, nothing has changed: ", "step_curve.num_images")),
    ],
)
def test_what_cannot_be_changes_nothing(unchanged, override, said):
    before = locked(unchanged)
    done = run(unchanged, "dvc", "exp", "run", "-S", override, check=False)
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert all(word in text for word in said), text
    assert locked(unchanged) == before
    gone = [out["path"] for stage in before.values() for out in stage["outs"] if not (unchanged / out["path"]).exists()]
    assert gone == [], "DVC has removed results"
    assert run(unchanged, "dvc", "exp", "list").stdout.strip() == ""


def test_doctor_sees_a_half_applied_experiment(study):
    changed = ["-S", "captioner_instruct.max_new_tokens=9", "captioner_instruct"]  # among the shortest stages
    run(study, "dvc", "exp", "run", "-n", "wordy", *changed)
    run(study, "git", "restore", "--staged", "--worktree", ".")
    run(study, "dvc", "checkout")
    assert "params.yaml is the default of conf/" in run(study, "difflab", "doctor").stdout
    run(study, "dvc", "exp", "apply", "wordy")
    printed = run(study, "difflab", "doctor").stdout
    assert "params.yaml differs from the default of conf/ (an experiment applied, or an edit: " in printed
