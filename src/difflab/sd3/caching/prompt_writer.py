"""Captions through the text encoders, into the folder that `difflab.sd3.caches.prompt_embeds` reads."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from difflab.core.base.files import atomic_path, link_or_copy, write_json, write_parquet
from difflab.core.sharding import process_chunks
from difflab.images.store.captions import check
from difflab.sd3.caches.prompt_keys import EMPTY_VARIANT, PARTS, caption_hash, embedding_settings, row_key

if TYPE_CHECKING:
    from difflab.sd3.caching.text_encoders import TextEncoders


def write_prompts(
    folder: str | Path,
    captions: pd.DataFrame,
    encoders: "TextEncoders",
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
        captions: a captions table (`difflab.images.store.captions`); one text may occur under many ids and variants.
        fingerprint: identity of the encoders, `models.roles.fingerprint(models/zoo/text)`.
        dtype: precision of the stored embeddings.

    Returns:
        The content of meta.json in the main process, None in the others.
    """
    check(captions, "the captions")
    texts = {caption_hash(text): text for text in captions["caption"]}
    hashes = [caption_hash(""), *sorted(set(texts) - {caption_hash("")})]
    texts[hashes[0]] = ""
    meta = {
        "rows": len(hashes),
        "clip_length": encoders.lengths["text_encoder"],
        "max_sequence_length": encoders.lengths["text_encoder_3"],
        "dtype": str(dtype).removeprefix("torch."),
        "text_encoders": fingerprint,
        "truncated": _count_truncated(captions, encoders),
    }
    settings = embedding_settings(meta)

    def embed(chunk: list[str], path: Path) -> None:
        from safetensors.torch import save_file

        encoded = encoders.encode([texts[h] for h in chunk], batch_size)
        tensors = {part: encoded[part].to(dtype).contiguous() for part in PARTS}
        keys = [row_key(h, settings) for h in chunk]
        save_file(tensors, path, metadata={"keys": " ".join(keys)})

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
    row_of = {h: row for row, h in enumerate(hashes)}
    entries = captions[["id", "variant"]].assign(caption_sha256=captions["caption"].map(caption_hash))
    entries = entries.sort_values(["id", "variant"])
    empty = pd.DataFrame([{"id": "", "variant": EMPTY_VARIANT, "caption_sha256": hashes[0]}])
    index = pd.concat([empty, entries], ignore_index=True).astype(object)
    index["row"] = index["caption_sha256"].map(row_of).astype("int64")
    index["key"] = index["caption_sha256"].map(lambda h: row_key(h, settings))
    return index


def _count_truncated(captions: pd.DataFrame, encoders: "TextEncoders") -> dict[str, dict[str, int]]:
    """Captions that an encoder truncates, per encoder and variant, counted over samples."""
    counts: dict[str, dict[str, int]] = {}
    for variant, rows in captions.groupby("variant", sort=True):
        for name, truncated in encoders.truncated(rows["caption"].tolist()).items():
            counts.setdefault(name, {})[str(variant)] = int(truncated.sum())
    return counts
