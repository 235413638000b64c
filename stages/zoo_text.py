"""Text encoders: draw the three frozen encoders of the base from the seed, or point to released ones."""

from pathlib import Path

from difflab.stage import Stage, run
from difflab.zoo.roles import write_pointer
from difflab.zoo.text import write_text_encoders

FOLDER = Path("models/zoo/text")


def main(stage: Stage) -> None:
    params = stage.params.zoo.text
    if params.hub:
        write_pointer(FOLDER, params.hub)
        return stage.done(f"wrote {FOLDER}, a pointer to {params.hub.repo_id}")
    count = write_text_encoders(FOLDER, params, stage.params.seed)
    stage.done(f"wrote {FOLDER}, three encoders of {count:,} weights in all")


if __name__ == "__main__":
    run(main)
