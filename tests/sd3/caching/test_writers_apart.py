"""An edit of what writes the caches or asks the Hub runs no stage that only reads."""

import pytest

from closure import ROOT, closure

WRITERS = {"src/difflab/sd3/caching/", "src/difflab/models/pointers.py"}


@pytest.mark.parametrize("stage", ["finetune", "generate", "guidance_curve", "step_curve"])
def test_stages_that_read_caches_do_not_depend_on_their_writers(stage):
    needed = closure(ROOT / "stages" / "sd3" / f"{stage}.py")
    assert "src/difflab/sd3/artifacts/prompt_embeds.py" in needed
    assert not [file for file in needed if file.startswith(tuple(WRITERS))]


@pytest.mark.parametrize(
    ("stage", "shared"),
    [("cache_latents", set()), ("cache_prompts", {"artifacts/cells.py", "artifacts/prompt_keys.py"})],
)
def test_stages_that_write_caches_do_not_depend_on_their_readers(stage, shared):
    needed = closure(ROOT / "stages" / "sd3" / f"{stage}.py")
    own = {f.removeprefix("src/difflab/sd3/") for f in needed if f.startswith("src/difflab/sd3/")}
    assert own == {f"caching/{stage.removeprefix('cache_').rstrip('s')}_writer.py"} | shared
