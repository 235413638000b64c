"""Whether parameters fit the committed rulers, see `difflab.models.rulers`: asked before DVC removes anything."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import dotted, parse_yaml
from difflab.models import rulers


def check_rulers(params: Any, source: str, conf: Path = Path("conf")) -> None:
    """Refuse checked parameters that the committed rulers do not fit: a stage would, after DVC removed its outputs."""
    if params.zoo.rulers == "committed" and (fault := next(_misfits(params, conf), "")):
        raise DifflabError(f"{source}: the committed rulers need {fault}: -S zoo.rulers=retrain trains others")


def _misfits(params: Any, conf: Path) -> Iterator[str]:
    """What the committed rulers need to be otherwise: their own settings, and the images that they were trained on."""
    made = {n: parse_yaml((conf / "study" / f"{n}.yaml").read_text(), n)[n] for n in ("split", "images")}
    for name, own in params.zoo.classifier:
        if own.weights is not None:
            continue
        if difference := rulers.differing(rulers.ZOO / "classifier" / name, own):
            yield f"zoo.classifier.{name}.{difference}"
        if getattr(params.data, name).source != "bundled":
            yield f"data.{name}.source=bundled"
        for part in ("image_size", "max_images"):
            if (asked := params.images[part][name]) != made["images"][part][name]:
                yield f"images.{part}.{name}={made['images'][part][name]}, not {asked}"
    vision = params.zoo.vision_encoder
    if vision.hub is None:
        if difference := rulers.differing(rulers.ZOO / "vision_encoder", vision):
            yield f"zoo.vision_encoder.{difference}"
        asked = dotted(params.split.model_dump(mode="json"))
        for name, had in dotted(made["split"]).items():
            if name != "stratify.celeba" and asked[name] != had:
                yield f"split.{name}={had}, not {asked[name]}"
