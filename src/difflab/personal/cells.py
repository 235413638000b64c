"""The trainings of the study: every method with every prior, and the curve over the number of pictures."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from difflab.personal.params import Method, PersonalParams, Prior

METHODS = {
    "lora": "LoRA",
    "lora_text": "LoRA, text encoder too",
    "full": "full network",
    "textual_inversion": "textual inversion",
}
PRIORS = {"none": "no prior", "images": "class images", "output": "class output"}


class Cell(NamedTuple):
    """What is trained, for each subject and seed alike."""

    method: "Method"
    prior: "Prior"
    pictures: int

    @property
    def name(self) -> str:
        return f"{self.method}_{self.prior}"


def table_cells(params: "PersonalParams") -> list[Cell]:
    """Every method with every prior, on the most pictures.

    Textual inversion leaves all weights as they are, so that no prior could change: it stands once.
    """
    most = max(params.pictures)
    cells = [Cell(method, prior, most) for method in params.methods for prior in params.priors]
    kept: dict[str, Cell] = {}
    for cell in cells:
        if cell.method == "textual_inversion":
            cell = cell._replace(prior="none")
        kept[cell.name] = cell
    return list(kept.values())


def curve_cell(params: "PersonalParams") -> Cell:
    """The cell whose curves are measured: the curve's method without a prior, or the table's first where it has none."""
    table, wanted = table_cells(params), Cell(params.curve_method, "none", max(params.pictures))
    return wanted if wanted in table else table[0]


def picture_cells(params: "PersonalParams") -> list[Cell]:
    """That cell on fewer pictures."""
    return [curve_cell(params)._replace(pictures=n) for n in sorted(params.pictures)[:-1]]


def steps_are_measured(cell: Cell, params: "PersonalParams") -> bool:
    """Whether a cell is measured at `curve_steps` too."""
    return cell == curve_cell(params)
