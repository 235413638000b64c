"""A folder of one's own pictures through real DVC, to the table."""

import json
from pathlib import Path

import pytest

from images.test_own_pictures import encoded, table, write
from study.shell import locked, run


@pytest.mark.long
def test_own_pictures_come_to_the_table(study: Path, tmp_path: Path):
    """With captions of some of them, in a folder as people have them; then without any."""
    names = [f"sub folder {n % 3}/été {n:02d}.{'JPG' if n % 2 else 'webp'}" for n in range(20)]
    pictures = {name: encoded(n, (50, 40), "JPEG" if n % 2 else "WEBP") for n, name in enumerate(names)}
    rows = [{"file_name": name, "text": f"a thing {n}", "outdoors": n > 9} for n, name in enumerate(names[:12])]
    folder = write(tmp_path / "my pictures", {**pictures, "metadata.jsonl": table(*rows), "clip.mp4": b"0"})
    before = locked(study)

    chosen = ["-S", "experiment=own", "-S", f"data.own='{folder}'"]
    assert f"{folder}: 20 pictures, 12 with captions" in run(study, "difflab", "plan", *chosen).stdout
    said = run(study, "dvc", "exp", "run", "-n", "own", *chosen, "score").stdout
    assert "passed over 1 (no picture): clip.mp4" in said
    scores = json.loads((study / "metrics/score.json").read_text())
    assert {name.split("_")[1] for name in scores if name.endswith("_fid")} >= {"blip2", "llama3", "own"}
    assert not [name for name in scores if "accuracy" in name]
    table_of = "from difflab.cli.repro import sd3_table; print(sd3_table())"
    assert (
        "| model | BLIP-2 captions | Llama 3 captions | own captions |" in run(study, "python", "-c", table_of).stdout
    )
    assert {p.name for p in (study / "models/finetune/own-zero").iterdir()} == {"seed-0", "seed-1"}
    after = locked(study)
    assert all(after[stage] == before[stage] for stage in before if stage.startswith(("zoo_", "ddpm", "captioner")))

    silent = write(tmp_path / "without captions", pictures)
    chosen[-1] = f"data.own='{silent}'"
    said = run(study, "dvc", "exp", "run", "-n", "silent", *chosen, "score").stdout
    assert "nothing to train: no picture came with a caption" in said
    scores = json.loads((study / "metrics/score.json").read_text())
    assert not [name for name in scores if name.startswith("minus_own")]
