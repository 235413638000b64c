"""What each stage of the captioning study reads of params.yaml, as dvc.yaml declares it."""

from difflab.captioning.params.captioner import CaptionerInstructParams, CaptionerParams, CaptionScoreParams
from difflab.captioning.params.mix import MixParams
from difflab.captioning.params.synthesis import SweepParams, SynthesizeParams
from difflab.captioning.params.titles import TitlesParams
from difflab.core.params.common import Seeded, WithRuntime


class VaryTitlesInputs(Seeded, WithRuntime):
    titles: TitlesParams


class SynthesizeInputs(Seeded, WithRuntime):
    synthesize: SynthesizeParams


class SweepInputs(Seeded, WithRuntime):
    sweep: SweepParams


class MixInputs(Seeded):
    mix: MixParams


class CaptionerInputs(Seeded, WithRuntime):
    captioner: CaptionerParams


class CaptionerZeroShotInputs(Seeded, WithRuntime):
    captioner: CaptionerParams


class CaptionerInstructInputs(WithRuntime):
    captioner_instruct: CaptionerInstructParams


class CaptionScoreInputs(Seeded):
    caption_score: CaptionScoreParams
