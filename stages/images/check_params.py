"""Check the whole of params.yaml before any other stage starts: DVC removes the outputs of a stage as it starts it.

Each stage comes after this one by what it writes, which is always the same, so that none runs again because of it.
"""

from difflab.bundled_limits import check_bundled
from difflab.committed_rulers import check_rulers
from difflab.core.base.files import write_text
from difflab.core.base.stage import Stage, run
from difflab.core.params.loading import FILE, load_params
from difflab.images.params import CheckParamsInputs


def main(stage: Stage[CheckParamsInputs]) -> None:
    params = load_params(FILE)
    check_bundled(params, FILE)
    check_rulers(params, FILE)
    write_text("data/checked", "params.yaml holds values that can be.\n")
    stage.done(f"{FILE} holds values that can be")


if __name__ == "__main__":
    run(main)
