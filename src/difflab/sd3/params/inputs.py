"""What each stage of the SD3 study reads of params.yaml, as dvc.yaml declares it."""

from difflab.core.params.common import Seeded, WithRuntime
from difflab.images.params import BalanceParams
from difflab.sd3.params.cache import LatentCacheParams, PromptCacheParams
from difflab.sd3.params.caption import Blip2CaptionParams, Llama3CaptionParams
from difflab.sd3.params.finetune import FinetuneParams, LogitMeanParams
from difflab.sd3.params.sampling import GenerateParams, GuidanceCurveParams, StepCurveParams
from difflab.sd3.params.score import ScoreParams


class CaptionBlip2Inputs(Seeded, WithRuntime):
    class Caption:
        blip2: Blip2CaptionParams

    caption: Caption


class CaptionLlama3Inputs(Seeded, WithRuntime):
    class Caption:
        llama3: Llama3CaptionParams

    caption: Caption


class CacheLatentsInputs(WithRuntime):
    class Cache:
        latents: LatentCacheParams

    cache: Cache


class CachePromptsInputs(WithRuntime):
    class Cache:
        prompts: PromptCacheParams

    cache: Cache


class FinetuneInputs(Seeded, WithRuntime):
    balance: BalanceParams
    finetune: FinetuneParams
    logit_mean: LogitMeanParams


class GenerateInputs(Seeded, WithRuntime):
    generate: GenerateParams


class ScoreInputs(GenerateInputs):
    score: ScoreParams


class GuidanceCurveInputs(ScoreInputs):
    guidance_curve: GuidanceCurveParams


class StepCurveInputs(ScoreInputs):
    step_curve: StepCurveParams
