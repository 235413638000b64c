"""Captions through the three text encoders of an SD3 base, into the folder that `caches.prompt_embeds` reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import atomic_path, link_or_copy, write_json, write_parquet
from difflab.core.base.pretrained import pretrained, pretrained_model
from difflab.core.base.sharding import process_chunks
from difflab.core.base.store.captions import check
from difflab.core.base.store.tensors import check_finite
from difflab.models.language.prompt_tokens import literal
from difflab.sd3.artifacts.prompt_keys import caption_hash, embedding_settings, row_key

if TYPE_CHECKING:
    from difflab.sd3.artifacts.shards import Shard

CLIP = ("text_encoder", "text_encoder_2")
T5 = "text_encoder_3"


class TextEncoders:
    """The encoders and tokenizers of one folder, used as the SD3 pipeline uses them, kept apart per encoder.

    Args:
        folder: text_encoder, tokenizer, text_encoder_2, ..., tokenizer_3, each as `save_pretrained` wrote it.
        max_sequence_length: tokens of the T5 encoder; CLIP's are its tokenizer's `model_max_length`.
        dtype: precision in which the encoders run.
        offload: keep each encoder off the device but while it embeds.

    Raises:
        DifflabError: a part is missing, or the folder is not of the SD3 layout.
    """

    def __init__(
        self,
        folder: str | Path,
        max_sequence_length: int,
        device: torch.device | str,
        dtype: torch.dtype,
        offload: bool = False,
    ) -> None:
        from transformers import AutoTokenizer, CLIPTextModelWithProjection, T5EncoderModel

        self.tokenizers, self.encoders = {}, {}
        for name in (*CLIP, T5):
            encoder, tokenizer = Path(folder) / name, Path(folder) / name.replace("text_encoder", "tokenizer")
            for part in (encoder / "config.json", tokenizer / "tokenizer_config.json"):
                if not part.exists():
                    raise DifflabError(f"{part} is missing: {folder} must hold the three text encoders of an SD3 base")
            kind = T5EncoderModel if name == T5 else CLIPTextModelWithProjection
            self.tokenizers[name] = literal(pretrained(AutoTokenizer, tokenizer))
            model = pretrained_model(kind, encoder, dtype=dtype, use_safetensors=True).eval()
            self.encoders[name] = model if offload else model.to(device)
        clip_length = min(self.tokenizers[name].model_max_length for name in CLIP)
        self.lengths = {**dict.fromkeys(CLIP, clip_length), T5: max_sequence_length}
        self.device, self.offload = torch.device(device), offload

    @torch.no_grad()
    def encode(self, captions: Sequence[str], batch_size: int) -> "Shard":
        """Embed captions; each is padded or truncated to the encoder's length, so rows do not depend on others.

        Returns:
            clip_l, clip_g: [n, Lc, d], the last hidden state but one. t5: [n, Lt, d], the last hidden state,
            without mask, as in the pipeline. pooled: [n, p], CLIP's projected vectors at the end token.
            All on the CPU, in the encoders' precision.
        """
        batches = [list(captions[i : i + batch_size]) for i in range(0, len(captions), batch_size)]
        (clip_l, pooled_l), (clip_g, pooled_g), (t5,) = (self._encode(name, batches) for name in (*CLIP, T5))
        return {"clip_l": clip_l, "clip_g": clip_g, "t5": t5, "pooled": torch.cat([pooled_l, pooled_g], dim=-1)}

    def _encode(self, name: str, batches: Sequence[list[str]]) -> tuple[Tensor, ...]:
        """What one encoder gives for all batches: its hidden states, and CLIP's projected vectors."""
        encoder, parts = self.encoders[name].to(self.device), []
        for captions in batches:
            if name == T5:
                given = (encoder(self._tokens(name, captions))[0],)
            else:
                seen = encoder(self._tokens(name, captions), output_hidden_states=True)
                given = seen.hidden_states[-2], seen.text_embeds
            parts.append([tensor.cpu() for tensor in given])
        if self.offload:
            encoder.to("cpu")
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def _tokens(self, name: str, captions: list[str]) -> Tensor:
        tokens = self.tokenizers[name](
            captions, padding="max_length", max_length=self.lengths[name], truncation=True, return_tensors="pt"
        )
        return tokens["input_ids"].to(self.device)

    def truncated(self, captions: Sequence[str]) -> dict[str, int]:
        """Per encoder, how many captions have more tokens than it takes."""
        return {
            name: sum(len(ids) > self.lengths[name] for ids in tokenizer(list(captions))["input_ids"])
            for name, tokenizer in self.tokenizers.items()
        }


def write_prompts(
    folder: str | Path,
    captions: pd.DataFrame,
    encoders: TextEncoders,
    fingerprint: str,
    *,
    dtype: torch.dtype,
    batch_size: int,
    shard_size: int,
    scratch: Path,
) -> dict | None:
    """Embed every distinct caption and the empty prompt, and write the folder that `PromptTable` reads.

    Work is cut into shards, spread over processes and resumed from `scratch` (`core.sharding`).

    Args:
        captions: a captions table (`difflab.core.base.store.captions`); one text may occur under many ids and variants.
        fingerprint: identity of the encoders, `core.base.roles.fingerprint(models/zoo/text)`.
        dtype: precision of the stored embeddings.

    Returns:
        The content of meta.json in the main process, None in the others.
    """
    check(captions, "the captions")
    empty = caption_hash("")
    texts = {caption_hash(text): text for text in captions["caption"]} | {empty: ""}
    hashes = [empty, *sorted(set(texts) - {empty})]
    truncated: dict[str, dict[str, int]] = {}  # by encoder and variant, counted over samples
    for variant, rows in captions.groupby("variant", sort=True):
        for name, count in encoders.truncated(rows["caption"].tolist()).items():
            truncated.setdefault(name, {})[str(variant)] = count
    meta = {
        "rows": len(hashes),
        "clip_length": encoders.lengths["text_encoder"],
        "max_sequence_length": encoders.lengths["text_encoder_3"],
        "dtype": str(dtype).removeprefix("torch."),
        "text_encoders": fingerprint,
        "truncated": truncated,
    }
    settings = embedding_settings(meta)

    def embed(chunk: list[str], path: Path) -> None:
        from safetensors.torch import save_file

        encoded = encoders.encode([texts[h] for h in chunk], batch_size)
        tensors = {part: tensor.to(dtype).contiguous() for part, tensor in encoded.items()}
        for part, tensor in tensors.items():
            check_finite(tensor, [repr(texts[h]) for h in chunk], f"the {part} embedding")
        save_file(tensors, path, metadata={"keys": " ".join(row_key(h, settings) for h in chunk)})

    shards = process_chunks(hashes, shard_size, scratch, embed, what="prompt embeddings", suffix=".safetensors")
    if shards is None:
        return None
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for number, shard in enumerate(shards):
            link_or_copy(shard, temporary / f"prompts-{number:05d}.safetensors")
        write_parquet(temporary / "index.parquet", _index(captions, hashes, settings))
        write_json(temporary / "meta.json", meta)
    return meta


def _index(captions: pd.DataFrame, hashes: list[str], settings: str) -> pd.DataFrame:
    entries = captions[["id", "variant"]].assign(caption_sha256=captions["caption"].map(caption_hash))
    empty = pd.DataFrame([{"id": "", "variant": "empty", "caption_sha256": hashes[0]}])
    index = pd.concat([empty, entries.sort_values(["id", "variant"])], ignore_index=True).astype(object)
    index["row"] = index["caption_sha256"].map({h: row for row, h in enumerate(hashes)}).astype("int64")
    index["key"] = index["caption_sha256"].map(lambda h: row_key(h, settings))
    return index
