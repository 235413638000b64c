"""What the study of few images takes: its trainings, the pictures that they are measured on, and the networks it keeps."""

from typing import TYPE_CHECKING, Any, NamedTuple

from difflab.cli import work
from difflab.cli.cost import PASS_SECONDS, Cost, speed
from difflab.personal.cells import Cell, picture_cells, steps_are_measured, table_cells

if TYPE_CHECKING:
    from difflab.personal.params import PersonalParams

KEPT_GB = 2.5  # that training keeps of a picture of 512 px for the backward pass of Stable Diffusion 1.5
_PASSES = {"none": 1, "images": 2, "output": 2}  # pictures' forward and backward passes for one of the subject
_FROZEN = {"none": 0, "images": 0, "output": 1}  # forward passes of the base beside them


class _Base(NamedTuple):
    """A base: operations of a pass, their share in convolutions, the side of its pictures, billions of parameters."""

    operations: float
    convolutions: float
    side: int
    network: float  # that is trained
    others: float  # text encoders and autoencoder
    latent: int


_BASES = {
    "stable-diffusion-3": _Base(work.transformer(1024, 333), 0.0, 1024, 2.03, 5.64, 16),
    "stable-diffusion-2": _Base(work.SD21_UNET, 0.55, work.SD21_SIDE, 0.87, 0.42, 4),
    "": _Base(work.SD15_UNET, 0.55, work.SD15_SIDE, 0.86, 0.21, 4),
}


def personal_cost(params: Any) -> Cost | None:
    """The cost of the stage; None where its base is trained by the study itself.

    Weights are in float32, training computes in bfloat16, pictures are sampled in float32: convolutions by TF32.
    """
    settings: PersonalParams = params.personal
    if settings.base.hub is None:
        return None
    base = next(base for name, base in _BASES.items() if name in settings.base.hub.repo_id)
    units = len(settings.subjects) * len(settings.seeds)
    cells = list(dict.fromkeys([*table_cells(settings), *picture_cells(settings)]))
    trained = units * sum(_training(settings, base, params.hardware, cell) for cell in cells)
    drawn = _pictures(settings, units, cells) * _drawing(settings, base, params.hardware)
    full = units * sum(cell.method == "full" for cell in cells)
    states = 16 if "full" in settings.methods else 4.2  # bytes of a parameter with gradient and AdamW's moments
    pictures = settings.training.batch_size * max(_PASSES[prior] for prior in settings.priors)
    area = (base.side / 512) ** 2
    training = 2 * base.network + KEPT_GB * area * base.operations / (work.SD15_UNET * area) * pictures
    decoding = 3.1 * (base.side / 1024) ** 2 * settings.sampling_batch_size
    gpu = 4 * (base.network + base.others) + states * base.network + max(training, decoding)
    state = 12 * base.network if "full" in settings.methods else 0.1
    return Cost("personal", trained + drawn, gpu, host=6 + 4 * (base.network + base.others),
                disk=4 * base.network * full, scratch=state)  # fmt: skip


def _training(settings: "PersonalParams", base: _Base, hardware: Any, cell: Cell) -> float:
    """Seconds of a training; at so few pictures in a step the host is the slower one on large cards."""
    passes = 3 * _PASSES[cell.prior] + _FROZEN[cell.prior]
    operations = settings.training.batch_size * passes * base.operations
    step = max(operations / speed(hardware, hardware.bfloat16_tflops, sampling=False), passes * PASS_SECONDS)
    return settings.training.steps * step


def _pictures(settings: "PersonalParams", units: int, cells: list[Cell]) -> int:
    """How many are drawn: to measure each training and the base, of the classes before, and for priors on pictures."""
    measured = len(settings.prompts) * settings.images_per_prompt + settings.class_images
    looks = units * (1 + len(cells) + sum(len(settings.curve_steps) for c in cells if steps_are_measured(c, settings)))
    classes = len({subject.class_word for subject in settings.subjects})
    priors = units * sum(cell.prior == "images" for cell in cells)
    return looks * measured + 2 * classes * settings.class_images + priors * settings.prior_images


def _drawing(settings: "PersonalParams", base: _Base, hardware: Any) -> float:
    """Seconds of a picture."""
    sampling, passes = settings.base, settings.base.num_inference_steps * (1 + (settings.base.guidance_scale != 1))
    convolutions = passes * base.operations * base.convolutions
    convolutions += work.autoencoder(base.side, decode=True, latent=base.latent)
    others = passes * base.operations * (1 - base.convolutions)
    seconds = convolutions / speed(hardware, hardware.tf32_tflops, sampling=True)
    seconds += others / speed(hardware, hardware.float32_tflops, sampling=True)
    return max(seconds, sampling.num_inference_steps * PASS_SECONDS / settings.sampling_batch_size)
