"""Stand-ins of released models: a Hugging Face cache in the published layout, with random weights."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difflab.core.base import rng
from difflab.core.base.files import atomic_path, read_json, read_tensors, write_json
from difflab.rehearsal import published, speaking, vocabularies

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from difflab.models.params import HubRef

_CLIP_MEAN, _CLIP_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
_LEGACY_END = 2  # of CLIP's old configurations, which read the end of a text at its highest id
_NO_REVISION = "0" * 40


def snapshot_of(cache: Path, hub: "HubRef") -> Path:
    """Where a repository lies in a cache: of a revision that is not known, at one of zeros."""
    return cache / f"models--{hub.repo_id.replace('/', '--')}" / "snapshots" / (hub.revision or _NO_REVISION)


def write(cache: Path, hub: "HubRef", width: int | None, size: int, released: Path | None, device: str = "cpu") -> bool:
    """Write a repository into a Hugging Face cache; whether it was not there yet, in these sizes.

    Args:
        width, size: as of `published.config`; None: random weights at full size.
        released: the repository in this machine's own cache, whose tokenizers are taken where it has them.
        device: where full-size weights are drawn.
    """
    folder = snapshot_of(cache, hub)
    marker = folder.parents[1] / "stand-in.json"
    made_as = {"width": width, "size": size, "tokenizers": str(released) if released else None}
    if folder.is_dir() and marker.exists() and read_json(marker) == made_as:
        return False
    marker.unlink(missing_ok=True)
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        _write_repository(temporary, hub.repo_id, width, size, released, device)
    (folder.parents[1] / "refs").mkdir(exist_ok=True)
    (folder.parents[1] / "refs" / "main").write_text(folder.name)
    write_json(marker, made_as)
    return True


def _write_repository(
    folder: Path, repo_id: str, width: int | None, size: int, released: Path | None, device: str
) -> None:
    own = published.repository(repo_id)
    known = {
        at: write_tokenizer(folder / at, kind, released and released / at, at)
        for at, kind in own.get("tokenizers", {}).items()
        if kind != "llava"
    }
    for at, name in own["models"].items():
        beside = known.get(at.replace("text_encoder", "tokenizer"))
        write_network(folder / at, repo_id, name, own["dtype"], beside, width, size, device)
        if own.get("pickled"):
            _pickle(folder / at)
    if "scheduler" in own:
        write_json(folder / "scheduler" / "scheduler_config.json", published.scheduler(own["scheduler"]))
    if "pipeline" in own:
        write_json(folder / "model_index.json", _index(own, known))
    if eyes := own.get("eyes"):
        write_json(folder / "preprocessor_config.json", _eyes(eyes, read_json(folder / "config.json")))


def write_tokenizer(folder: Path, kind: str, released: Path | None, at: str) -> tuple["PreTrainedTokenizerBase", bool]:
    """Write a tokenizer; with it, whether it is the released one."""
    found = vocabularies.copy_released(released, "", folder)
    tokenizer = vocabularies.small(kind) if found is None else found
    if kind == "gemma":
        speaking.teach_tokens(tokenizer)
    if found is None or kind == "gemma":
        tokenizer.save_pretrained(folder)
    return tokenizer, found is not None


def write_network(
    folder: Path,
    repo_id: str,
    name: str,
    dtype: str,
    beside: tuple["PreTrainedTokenizerBase", bool] | None,
    width: int | None,
    size: int,
    device: str,
) -> None:
    """Write a network of random weights, in the precision and the number of files of its repository."""
    import torch

    part, processor = published.part(name), None
    if part["class"] == "LlavaForConditionalGeneration":
        vision = published.config(name, width, size, 0)["vision_config"]
        processor = vocabularies.llava_processor(vision["image_size"], vision["patch_size"])
        processor.save_pretrained(folder)
        beside = processor.tokenizer, False
    values = published.config(name, width, size, len(beside[0]) if beside else 0)
    if beside:
        values = _told(values, *beside)
    if processor is not None:
        values = values | {"image_token_index": processor.image_token_id}
    torch.manual_seed(rng.key(0, "stand-in", repo_id, folder.name) % 2**63)
    model = build(part["class"], values, getattr(torch, dtype), device, part.get("options"))
    if name.startswith("gemma") and beside:
        speaking.speak(model, beside[0])
    if "generation" in part:
        _told_how_to_write(model, part["generation"], values)
    weights = [t.numel() * t.element_size() for t in model.state_dict().values()]
    shards = part.get("shards", 1)
    limit = max(sum(weights) // shards, max(weights)) if shards > 1 else sum(weights) + 1
    model.save_pretrained(folder, max_shard_size=limit)
    if device != "cpu":  # the stages need all of it
        del model
        gc.collect()
        torch.cuda.empty_cache()


def _pickle(folder: Path) -> None:
    """Leave the weights as repositories had them before safetensors."""
    import torch

    own = folder / "model.safetensors"
    torch.save(read_tensors(own), folder / "pytorch_model.bin")
    own.unlink()


def build(
    class_name: str, values: Mapping[str, Any], dtype: Any, device: str, options: Mapping[str, Any] | None = None
):
    """A network of diffusers or transformers with random weights; `options` of its class stand beside its configuration."""
    import diffusers
    import torch
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    library = transformers if hasattr(transformers, class_name) else diffusers
    kind = getattr(library, class_name)
    on_gpu = torch.device(device).type == "cuda"
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype if on_gpu else usual)  # in float32 it might not fit; a CPU cannot draw all in half
    try:
        with torch.device(device):
            if library is diffusers:
                made = kind.from_config(dict(values))
            else:
                made = kind(kind.config_class(**values), **(options or {}))
    finally:
        torch.set_default_dtype(usual)
    return made.to(dtype).eval()


def parameters(class_name: str, values: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> int:
    """How many parameters a network has, without making them."""
    import torch

    return sum(p.numel() for p in build(class_name, values, torch.float32, "meta", options).parameters())


def _told(values: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase", released: bool) -> dict[str, Any]:
    """The configuration with the special tokens of a small tokenizer, and room for all tokens."""
    told = dict(values)
    if "text_config" in told:
        told["text_config"] = _told(told["text_config"], tokenizer, released)
    if "vocab_size" in told:
        told["vocab_size"] = max(told["vocab_size"], len(tokenizer))
    if not released and told.get("eos_token_id", _LEGACY_END) not in (_LEGACY_END, 1):
        told |= {n: getattr(tokenizer, n) for n in ("bos_token_id", "pad_token_id") if n in told}
        end = tokenizer.eos_token_id
        if isinstance(told["eos_token_id"], list):
            others = (tokenizer.convert_tokens_to_ids(t) for t in ("<|end_of_text|>", speaking.END))
            end = sorted({end, *(i for i in others if isinstance(i, int) and i != tokenizer.unk_token_id)})
        told["eos_token_id"] = end
    return told


def _told_how_to_write(model: Any, settings: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    text = values.get("text_config", values)
    ends = {n: text[n] for n in ("bos_token_id", "eos_token_id", "pad_token_id") if n in text}
    model.generation_config.update(**settings, **ends)


def _index(own: Mapping[str, Any], known: Mapping[str, tuple["PreTrainedTokenizerBase", bool]]) -> dict[str, Any]:
    """model_index.json: the class of each part."""
    import diffusers

    classes = {at: published.part(name)["class"] for at, name in own["models"].items()}
    parts = {at: ["diffusers" if hasattr(diffusers, cls) else "transformers", cls] for at, cls in classes.items()}
    kinds = {"clip": "CLIPTokenizer", "t5": "T5TokenizerFast"}
    parts |= {at: ["transformers", kinds[own["tokenizers"][at]]] for at in known}
    parts["scheduler"] = ["diffusers", published.scheduler(own["scheduler"])["_class_name"]]
    return {"_class_name": own["pipeline"], "_diffusers_version": "0.30.0", **parts, **own.get("absent", {})}


def _eyes(given: Mapping[str, Any], network: Mapping[str, Any]) -> dict[str, Any]:
    """preprocessor_config.json for the pictures that the network takes."""
    side = network.get("vision_config", network)["image_size"]
    square: Any = side if "feature_extractor_type" in given else {"height": side, "width": side}
    values: dict[str, Any] = {"do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_resize": True,
        "resample": 3, "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD, "size": square}  # fmt: skip
    values |= {name: value for name, value in given.items() if name != "crop"}
    if given.get("crop"):
        values |= {"do_center_crop": True, "crop_size": square}
    return values
