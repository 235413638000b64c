"""Several trainings of one cell: which are trained, what is kept, how their values are joined."""

import math

import pytest

from difflab.training.seeds import save_curve, seed_curves, seed_log, seed_metrics, train_seeds


class Trainings:
    """Trainings that write their seed; what was trained and logged."""

    def __init__(self, folder):
        self.folder, self.trained, self.logged = folder, [], []

    def train(self, seed):
        self.trained.append(seed)

        def save(folder):
            rows = [
                {"step": step, "samples_seen": 8 * step, "train_loss": loss} for step, loss in ((0, None), (5, seed))
            ]
            save_curve(folder, rows)
            (folder / "weights").write_text(str(seed))

        return save

    def log(self, values, step):
        self.logged.append((step, values))

    def run(self, seeds, scratch="scratch"):
        kept = self.folder / "kept"
        kept.mkdir(exist_ok=True)
        return train_seeds(seeds, self.train, kept=kept, scratch=self.folder / scratch, what="cell", log=self.log)


@pytest.fixture
def trainings(tmp_path):
    return Trainings(tmp_path)


def test_seeds_are_trained_in_ascending_order_and_each_has_a_folder(trainings):
    folders = trainings.run([3, 0])
    assert trainings.trained == list(folders) == [0, 3]
    assert [(folder.name, (folder / "weights").read_text()) for folder in folders.values()] == [
        ("seed-0", "0"),
        ("seed-3", "3"),
    ]


def test_kept_seeds_are_not_trained_again_and_their_curves_are_logged(trainings, capsys):
    trainings.run([0, 1])
    trainings.trained.clear()
    assert list(trainings.run([2, 1])) == [1, 2]
    assert trainings.trained == [2]
    assert trainings.logged == [(0, {}), (5, {"seed-1/train_loss": 1.0})]
    assert capsys.readouterr().out == "cell-seed-1: kept from an earlier run\n"


def test_a_damaged_seed_is_trained_again_with_one_line(trainings, capsys):
    folder = trainings.run([0])[0]
    (folder / "curve.parquet").write_bytes(b"PAR1 damaged")
    trainings.run([0])
    assert trainings.trained == [0, 0]
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"unreadable: {folder / 'curve.parquet'} (")
    assert line.endswith(": seed-0 is trained again")
    assert seed_curves(trainings.run([0]))["step"].tolist() == [0, 5]


def test_a_training_that_fails_keeps_those_before_it(trainings):
    whole = trainings.train
    trainings.train = lambda seed: whole(seed) if seed < 1 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainings.run([0, 1])
    trainings.train = whole
    trainings.trained.clear()
    trainings.run([0, 1])
    assert trainings.trained == [1]


def test_a_seed_that_another_run_has_kept_meanwhile_is_left_as_it_is(trainings):
    other = Trainings(trainings.folder)
    whole = trainings.train

    def slowly(seed):
        other.run([0], "other")
        return whole(seed)

    trainings.train = slowly
    (folder,) = trainings.run([0]).values()
    assert (folder / "weights").read_text() == "0"


def test_curves_are_joined_with_a_column_for_the_seed(trainings):
    table = seed_curves(trainings.run([1, 2]))
    assert list(table) == ["seed", "step", "samples_seen", "train_loss"]
    assert table[["seed", "step"]].to_numpy().tolist() == [[1, 0], [1, 5], [2, 0], [2, 5]]
    assert math.isnan(table["train_loss"].iloc[0])


def test_metrics_are_means_and_each_seeds_own_values():
    metrics = seed_metrics({0: {"val_loss": 1.0}, 3: {"val_loss": 2.0}})
    assert metrics == {"val_loss": 1.5, "seed_0_val_loss": 1.0, "seed_3_val_loss": 2.0}


def test_a_log_names_its_seed(trainings):
    seed_log(trainings.log, 4)({"loss": 0.5}, step=7)
    assert trainings.logged == [(7, {"seed-4/loss": 0.5})]
