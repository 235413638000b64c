"""What each stage that makes a small model reads of params.yaml, as dvc.yaml declares it."""

from difflab.core.params.common import Seeded, WithRuntime
from difflab.images.params import SplitParams
from difflab.miniature.params.image_models import ZooDiffusionParams, ZooTransformerParams, ZooVaeParams
from difflab.miniature.params.text_models import ZooGemmaParams, ZooLanguageParams, ZooLlamaParams, ZooTextParams
from difflab.miniature.params.vision_models import ZooBlip2Params, ZooInstructParams, ZooVisionEncoderParams


class _Split(Seeded, WithRuntime):
    split: SplitParams


class ZooVisionEncoderInputs(_Split):
    class Zoo:
        vision_encoder: ZooVisionEncoderParams

    zoo: Zoo


class ZooVaeInputs(_Split):
    class Zoo:
        vae: ZooVaeParams

    zoo: Zoo


class ZooTextInputs(_Split):
    class Zoo:
        text: ZooTextParams

    zoo: Zoo


class ZooBlip2Inputs(_Split):
    class Zoo:
        blip2: ZooBlip2Params

    zoo: Zoo


class ZooLlamaInputs(Seeded, WithRuntime):
    class Zoo:
        llama: ZooLlamaParams

    zoo: Zoo


class ZooGemmaInputs(Seeded, WithRuntime):
    class Zoo:
        gemma: ZooGemmaParams

    zoo: Zoo


class ZooLanguageInputs(Seeded, WithRuntime):
    class Zoo:
        language: ZooLanguageParams

    zoo: Zoo


class ZooInstructInputs(_Split):
    class Zoo:
        instruct: ZooInstructParams

    zoo: Zoo


class ZooTransformerInputs(_Split):
    class Zoo:
        transformer: ZooTransformerParams

    zoo: Zoo


class ZooDiffusionInputs(Seeded, WithRuntime):
    class Zoo:
        diffusion: ZooDiffusionParams

    zoo: Zoo
