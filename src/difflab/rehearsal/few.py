"""The parameters of a rehearsal: those of its profile, with few steps, few pictures and small networks.

Parameters are known by their names, so that a study which is new here is rehearsed too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from difflab.rehearsal.published import GROUPS


class Sizes(NamedTuple):
    """How small a rehearsal is."""

    images: int
    steps: int
    size: int  # side of faces in pixels
    width: int | None  # channels of networks; None: as published, with the published batch sizes
    on_gpu: bool


Rule = Callable[[Any, Sizes], Any]


def _at_most(limit: Callable[[Sizes], int]) -> Rule:
    return lambda value, sizes: min(value, limit(sizes))


def _as_many(value: Any, sizes: Sizes) -> Any:
    return min(value, sizes.images)


def _steps(value: Any, sizes: Sizes) -> Any:
    """Sampling steps, or a list of them: at most as many, and a divisor of the 1,000 levels as samplers want it."""
    most = max(n for n in range(1, sizes.steps + 1) if 1000 % n == 0)
    return list(dict.fromkeys(min(v, most) for v in value)) if isinstance(value, list) else min(value, most)


def _first(count: int) -> Rule:
    return lambda value, sizes: value[:count] if isinstance(value, list) else value


def _width(value: Any, sizes: Sizes) -> Any:
    if sizes.width is None:
        return value
    limit = max(sizes.width, GROUPS)
    return [min(v, limit) for v in value] if isinstance(value, list) else min(value, limit)


def _batch(value: Any, sizes: Sizes) -> Any:
    return value if sizes.width is None else min(value, 4)


def _readable(value: Any, sizes: Sizes) -> Any:
    """The miniature's Gemma learns until its answers can be read: without titles nothing follows it."""
    return value


_FEW: tuple[tuple[str, Rule], ...] = (  # by the end of the dotted name; the first that fits counts
    (r"process\.num_images", lambda value, sizes: min(value, max(sizes.images, 20))),  # two of each class
    (r"captioner\.\w*seeds", _first(2)),  # which are paired
    (r"seeds", _first(1)),
    (r"captioner\.originals", lambda value, sizes: [2, None] if len(value) > 1 else value),
    (r"adapter_steps", lambda value, sizes: list(range(1, sizes.steps + 1))[:: max(1, sizes.steps - 1)]),
    (r"zoo\.gemma\.training\.(steps|batch_size|checkpoint_interval|log_interval|warmup_steps)", _readable),
    (r"personal\.curve_steps", lambda value, sizes: [1] if sizes.steps > 1 else []),
    (r"personal\.(subjects|prompts)", _first(2)),
    (r"personal\.(prior_images|class_images|images_per_prompt)", lambda value, sizes: min(value, max(sizes.images, 4))),
    (r"\w*training\.steps|v0_steps|blocks\.steps", _at_most(lambda sizes: sizes.steps)),
    (r"(lr_)?warmup_steps|checkpoint_interval|log_interval", lambda value, sizes: min(value, 1)),
    (r"validation_interval", _at_most(lambda sizes: sizes.steps)),
    (r"gradient_accumulation_steps", lambda value, sizes: min(value, 2)),
    (r"process\.num_inference_steps", lambda value, sizes: _steps(value, sizes._replace(steps=max(sizes.steps, 2)))),
    (r"num_inference_steps", _steps),
    (r"guidance_scales", _first(2)),
    (r"score\.min_images", lambda value, sizes: 4),  # the least
    (r"score\.kid_subset_size", lambda value, sizes: 2),
    (
        r"(guidance_curve|step_curve|blocks)\.num_images|finetune\.validation_samples|"
        r"blocks\.(ablated_images|held_out_samples|mean_samples)",
        _at_most(lambda sizes: sizes.images // 2),
    ),
    (r"num_images|num_plain|num_held_out|validation_images|test_images|evaluated", _as_many),
    (r"max_images\.\w+", lambda value, sizes: value),
    (r"(grid|sheet)_images|shown|pairs", _as_many),
    (r"resamples", lambda value, sizes: 100),
    (r"max_new_tokens", _at_most(lambda sizes: 8)),
    (r"cache\.latents\.image_size|synthesize\.image_size|images\.image_size\.\w+", _at_most(lambda sizes: sizes.size)),
    (r"prepare\.min_side", lambda value, sizes: min(value, sizes.size * 3 // 4)),
    (r"block_out_channels|attention_head_dim|prompt_dim|lora\.rank", _width),
    (r"(\w+_)?batch_size", _batch),
    (r"num_workers", lambda value, sizes: min(value, 2)),
    (r"(val|test)_fraction", lambda value, sizes: 0.25),
    (r"mix\.max_hamming_distance", lambda value, sizes: 0),  # pictures of untrained models are alike
    (r"mix\.min_correlation", lambda value, sizes: 1.0),
)


def reduced(values: Mapping[str, Any], sizes: Sizes, path: str = "") -> dict[str, Any]:
    """Parameters as params.yaml has them, each at the value of a rehearsal; null stays null."""
    few: dict[str, Any] = {}
    for name, value in values.items():
        full = f"{path}.{name}" if path else name
        if isinstance(value, Mapping):
            few[name] = reduced(value, sizes, full)
        else:
            few[name] = value if value is None else _few(full, value, sizes)
    return few


def _few(name: str, value: Any, sizes: Sizes) -> Any:
    for ending, rule in _FEW:
        if re.search(rf"(^|\.)(?:{ending})$", name):
            return rule(value, sizes)
    return value


def with_data_root(values: dict[str, Any], images: int) -> dict[str, str]:
    """Let every archive that would be downloaded or fetched by hand lie in the data root; their paths by name.

    Of those of the miniature only the first pictures are used, some times `images`.
    """
    data, paths = values["data"], {}
    common = data.get("common", {})
    for name, archive in data.items():
        if not isinstance(archive, dict) or name == "common":
            continue
        if archive.get("source", common.get("source")) == "bundled":
            _cut(values, name, images)
            continue
        archive |= {"source": "data_root", "sha256": None}
        paths[name] = archive["path"]
    return paths


def _cut(values: dict[str, Any], name: str, images: int) -> None:
    """Use the first pictures of an archive of the miniature."""
    if name == "celeba_hq":
        values["split"] |= {
            "max_rows": 15 * images,
            "stratify": values["split"]["stratify"] | {"miniature": ["Inverted"]},
        }
    elif name == "celeba":
        values["prepare"]["max_celeba_images"] = 2 * images
    elif name != "subjects":
        values["images"]["max_images"][name] = 5 * images


def on_this_machine(values: dict[str, Any], sizes: Sizes) -> None:
    """A processor without the units of a GPU computes in float32, one thread for each stage at a time."""
    if not sizes.on_gpu:
        values["runtime"] |= {"num_threads": 1, "dtype": "float32", "compile": False, "device": "cpu"}
