"""What each method trains of the base, and the files that it leaves.

lora               adapters on the attention of the denoising network (Hu et al. 2021)
lora_text          adapters on its text encoder too
full               all of the denoising network (DreamBooth, Ruiz et al. 2023)
textual_inversion  the embedding of one new token (Gal et al. 2023)
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import atomic_path, parse_json, read_tensor_facts, read_tensors
from difflab.models.lora import ADAPTER, add_lora, alpha_of, check_target, check_weights, linear_layers

if TYPE_CHECKING:
    from difflab.personal.base import Base
    from difflab.personal.params import Method, PersonalLoraParams
    from difflab.personal.words import Words

LORA_FILE, EMBEDDING_FILE = "pytorch_lora_weights.safetensors", "learned_embeds.safetensors"
METADATA_KEY = "lora_adapter_metadata"  # where diffusers reads the LoraConfig


class LearnedToken(nn.Module):
    """The token embeddings of a text encoder, with a vector of its own for one token behind their last."""

    def __init__(self, embeddings: nn.Embedding, start: int) -> None:
        super().__init__()
        self.embeddings, self.number = embeddings, embeddings.num_embeddings
        self.vector = nn.Parameter(embeddings.weight[start].detach().clone())

    @property
    def weight(self) -> Tensor:
        return self.embeddings.weight

    def forward(self, ids: Tensor) -> Tensor:
        learned = ids == self.number
        known = functional.embedding(ids.masked_fill(learned, 0), self.embeddings.weight)
        return torch.where(learned[..., None], self.vector, known)


def prepare(base: "Base", method: "Method", lora: "PersonalLoraParams", words: "Words", seed: int) -> nn.Module:
    """Make the parameters of a method trainable, and no others; the modules that hold them."""
    torch.manual_seed(rng.key(seed, "init", "personal"))
    if method == "full":
        base.network.requires_grad_(True)
        return nn.ModuleDict({"network": base.network})
    if method == "textual_inversion":
        return nn.ModuleDict({"text_encoder": _add_token(base, words)})
    encoder = base.text_encoder() if method == "lora_text" else None
    _adapt(base.network, lora.targets, lora, "personal.lora.targets")
    if encoder is None:
        return nn.ModuleDict({"network": base.network})
    _adapt(encoder, lora.text_targets, lora, "personal.lora.text_targets")
    return nn.ModuleDict({"network": base.network, "text_encoder": encoder})


def _adapt(module: nn.Module, targets: list[str], lora: "PersonalLoraParams", key: str) -> None:
    from peft import LoraConfig

    known = {".".join(name.split(".")[-n:]) for name in linear_layers(module) for n in (1, 2, 3, 4)}
    for target in targets:
        check_target(target, [target], known, key)
    alpha = alpha_of(lora.rank, lora.alpha)
    add_lora(module, LoraConfig(r=lora.rank, lora_alpha=cast("int", alpha), target_modules=list(targets)))


def _add_token(base: "Base", words: "Words") -> nn.Module:
    encoder, tokenizer = base.text_encoder(), base.pipeline.tokenizer
    if tokenizer.add_tokens([words.learned]) != 1:
        raise DifflabError(f"the tokenizer knows '{words.learned}' already: take another personal.token")
    start = base.pipeline.tokenizer(words.class_word, add_special_tokens=False)["input_ids"][-1]
    embeddings = encoder.get_input_embeddings()
    if tokenizer.convert_tokens_to_ids(words.learned) != embeddings.num_embeddings:
        raise DifflabError("the base has more or fewer token embeddings than its tokenizer has tokens: repair it first")
    encoder.set_input_embeddings(LearnedToken(embeddings, start))
    return encoder


def save(folder: Path, base: "Base", method: "Method", lora: "PersonalLoraParams", words: "Words", origin: str) -> None:
    """Write what was trained: an adapter and an embedding as diffusers reads them, a network as it saves one.

    Args:
        origin: fingerprint of the base (`difflab.core.base.roles.fingerprint`), without which an adapter means nothing.
    """
    folder = Path(folder)
    if method == "full":
        with atomic_path(folder / "network") as temporary:
            base.network.save_pretrained(temporary)
        return
    if method == "textual_inversion":
        vector = cast("LearnedToken", base.text_encoder().get_input_embeddings()).vector
        with atomic_path(folder / EMBEDDING_FILE) as temporary:
            save_file({words.learned: vector.detach().cpu().clone()}, temporary, metadata={"difflab.base": origin})
        return
    with atomic_path(folder / LORA_FILE) as temporary:
        facts = json.dumps(_facts(base, method, lora) | {"difflab.base": origin}, sort_keys=True)
        save_file(_adapters(base, method), temporary, metadata={METADATA_KEY: facts})


def _parts(base: "Base", method: "Method") -> dict[str, nn.Module]:
    network = {"transformer" if base.flow else "unet": base.network}
    return network | ({"text_encoder": base.text_encoder()} if method == "lora_text" else {})


def _adapters(base: "Base", method: "Method") -> dict[str, Tensor]:
    from peft.utils import get_peft_model_state_dict

    return {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, module in _parts(base, method).items()
        for name, tensor in sorted(get_peft_model_state_dict(module, adapter_name=ADAPTER).items())
    }


def _facts(base: "Base", method: "Method", lora: "PersonalLoraParams") -> dict[str, object]:
    facts: dict[str, object] = {}
    for prefix in _parts(base, method):
        targets = lora.text_targets if prefix == "text_encoder" else lora.targets
        alpha = alpha_of(lora.rank, lora.alpha)
        facts |= {f"{prefix}.r": lora.rank, f"{prefix}.lora_alpha": alpha, f"{prefix}.target_modules": list(targets)}
    return facts


def load_adapter(folder: Path, base: "Base", origin: str) -> None:
    """Put a saved adapter on the base that it was trained on.

    Raises:
        DifflabError: the file is absent or damaged, belongs to another base, or its tensors do not fit.
    """
    path = Path(folder) / LORA_FILE
    if not path.is_file():
        raise DifflabError(f"{path} is missing: run `dvc repro personal`, or `dvc pull`")
    remedy = "run `dvc repro personal` again"
    tensors, header = read_tensors(path, remedy), read_tensor_facts(path, remedy)
    with reading(path, remedy):
        facts = dict(parse_json(header.get(METADATA_KEY, "{}")))
    if facts.get("difflab.base") != origin:
        raise DifflabError(f"{path} was trained on another base ({facts.get('difflab.base', '?')}, not {origin})")
    prefixes = sorted({name.split(".")[0] for name in tensors})
    modules = {"text_encoder": getattr(base.pipeline, "text_encoder", None)}
    modules["transformer" if base.flow else "unet"] = base.network
    for prefix in prefixes:
        if (module := modules.get(prefix)) is None:
            raise DifflabError(f"{path} adapts a {prefix}, which the base does not have: load it with its own base")
        part = {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
        _put(module, part, facts, prefix, str(path))


def _put(module: nn.Module, tensors: dict[str, Tensor], facts: dict, prefix: str, path: str) -> None:
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

    rank, alpha, targets = (facts.get(f"{prefix}.{name}") for name in ("r", "lora_alpha", "target_modules"))
    add_lora(module, LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets))
    expected = get_peft_model_state_dict(module, adapter_name=ADAPTER)
    check_weights(path, tensors, {n: list(t.shape) for n, t in expected.items()}, "take the adapter's own base")
    set_peft_model_state_dict(module, tensors, adapter_name=ADAPTER)
