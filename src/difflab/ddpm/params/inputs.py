"""What each stage of the DDPM study reads of params.yaml, as dvc.yaml declares it."""

from difflab.core.params.common import Seeded, WithRuntime
from difflab.ddpm.params.denoise import DenoiseParams, DenoiseScoreParams
from difflab.ddpm.params.models import ClassifiersParams, ImageVaeParams
from difflab.ddpm.params.process import ColdParams, MemorisationParams, ProcessParams
from difflab.ddpm.params.series import DdpmParams, DdpmSampleParams


class ZooClassifierInputs(Seeded, WithRuntime):
    class Data:
        data_root: str | None

    class Zoo:
        classifier: ClassifiersParams

    data: Data
    zoo: Zoo


class ZooImageVaeInputs(Seeded, WithRuntime):
    class Zoo:
        image_vae: ImageVaeParams

    zoo: Zoo


class DenoiseInputs(Seeded, WithRuntime):
    denoise: DenoiseParams


class DenoiseScoreInputs(DenoiseInputs):
    denoise_score: DenoiseScoreParams


class DdpmInputs(Seeded, WithRuntime):
    ddpm: DdpmParams


class DdpmSampleInputs(Seeded, WithRuntime):
    ddpm_sample: DdpmSampleParams


class DdpmScoreInputs(Seeded, WithRuntime):
    ddpm: DdpmParams


class ProcessInputs(Seeded, WithRuntime):
    ddpm: DdpmParams
    ddpm_sample: DdpmSampleParams
    process: ProcessParams


class MemorisationInputs(Seeded):
    ddpm: DdpmParams
    memorisation: MemorisationParams


class ColdInputs(Seeded, WithRuntime):
    cold: ColdParams
