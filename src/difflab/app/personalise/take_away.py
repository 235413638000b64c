"""The trained file for another program, as `difflab export` writes it."""

from typing import TYPE_CHECKING

from difflab.cli.bases import OWN_LICENCE, licence_of
from difflab.models.adapters.fit import layers_of
from difflab.models.adapters.header import Description
from difflab.models.adapters.reading import read_adapter
from difflab.models.adapters.writing import contents
from difflab.models.pipelines.prompted import TRAINED

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from difflab.app.personalise.outcome import Outcome
    from difflab.study import Params

PROGRAMS = {"diffusers": "diffusers, difflab", "comfyui": "ComfyUI", "kohya": "kohya, Forge"}


def packed_for(program: str, outcome: "Outcome", pipeline: "DiffusionPipeline", params: "Params") -> bytes:
    """The bytes of the file; for diffusers those that the training left.

    Args:
        program: one of `PROGRAMS`; any but diffusers takes a LoRA alone.

    Raises:
        DifflabError: the format cannot hold the adapter.
    """
    if program == "diffusers" or not outcome.is_lora:
        return outcome.file.read_bytes()
    adapter = read_adapter(outcome.file)
    layers = layers_of(pipeline)
    files = contents(program, adapter.updates(layers), layers, _described(outcome, pipeline, params), adapter.facts)
    return next(iter(files.values()))


def _described(outcome: "Outcome", pipeline: "DiffusionPipeline", params: "Params") -> Description:
    wish, hub = outcome.wish, params.personal.base.hub
    network = getattr(pipeline, "unet", None) or pipeline.transformer
    name = "difflab's small Stable Diffusion" if hub is None else hub.repo_id
    return Description(
        title=outcome.file_name.removesuffix(".safetensors"),
        base=name,
        loads_from=str(TRAINED) if hub is None else name,
        licence=OWN_LICENCE if hub is None else licence_of(name),
        resolution=network.config.sample_size * 2 ** (len(pipeline.vae.config.block_out_channels) - 1),
        prediction=pipeline.scheduler.config.get("prediction_type", ""),
        settings={"method": wish.method, "prior": wish.prior, "steps": wish.steps, "seed": wish.seed},
        scores={measure: own for measure, (own, _) in outcome.measures.items()},
        prompts=(wish.instance_prompt.replace("{token}", wish.token).replace("{class}", wish.class_word),),
    )
