"""The rows of the training curve."""

import math

from difflab.training.curve import Curve, best_row, final_metrics


def test_a_row_is_due_once_at_each_interval_and_at_the_end():
    curve, due = Curve(3, 7, [], {}), []
    for step in (0, 0, 1, 2, 3, 4, 5, 6, 7, 7):
        if curve.due(step):
            due.append(step)
            curve.add(step, 4 * step, 0.1, {})
    assert due == [0, 3, 6, 7]


def test_a_row_holds_means_of_its_window_only():
    curve = Curve(2, 4, [], {})
    for loss in (1.0, 3.0):
        curve.window.setdefault("train_loss", []).append(loss)
    curve.add(2, 8, 0.1, {"val_loss": 0.5})
    curve.add(4, 16, 0.2, {})
    assert curve.rows[0] == {
        "step": 2, "samples_seen": 8, "train_loss": 2.0, "val_loss": 0.5, "learning_rate": 0.1, "grad_norm": None,
    }  # fmt: skip
    assert curve.rows[1]["train_loss"] is None


def test_the_final_metrics_are_what_the_last_row_says_of_the_result():
    row = {"step": 4, "samples_seen": 16, "train_loss": 2.0, "val_loss": None, "learning_rate": 0.1, "grad_norm": 3.0}
    assert final_metrics([{"step": 0}, row | {"val_psnr": 20.0}]) == {
        "step": 4, "samples_seen": 16, "train_loss": 2.0, "val_psnr": 20.0,
    }  # fmt: skip


def test_the_best_row_is_the_first_of_the_lowest_validation_loss():
    rows = [{"step": n, "val_loss": loss} for n, loss in enumerate([None, math.nan, 3.0, 1.0, 2.0, 1.0])]
    assert best_row(rows) is rows[3]
    assert best_row(rows[:2]) is None
