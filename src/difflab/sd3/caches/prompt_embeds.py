"""Cached prompt embeddings: one row per distinct caption, kept per encoder, found by sample id and variant.

Layout of a folder:
    prompts-00000.safetensors ...   clip_l, clip_g, t5, pooled of `shard_size` captions; metadata: their keys
    index.parquet                   id, variant, caption_sha256, row, key; the empty prompt is row 0, id ""
    meta.json                       lengths, precision, fingerprint of the encoders, truncated captions

A row's key is a hash of the caption, the encoders, the lengths and the precision. Rows are in the order of
the captions' hashes, after the empty prompt, so captions give the same bytes in whatever order they come.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import (
    atomic_path,
    link_or_copy,
    read_json,
    read_parquet,
    sha256_bytes,
    write_json,
    write_parquet,
)
from difflab.core.sharding import process_chunks
from difflab.images.captions import check
from difflab.models.text_encoders import Encoded, TextEncoders, combine

EMPTY_VARIANT = "empty"
_PARTS = ("clip_l", "clip_g", "t5", "pooled")


class PromptTable:
    """The embeddings of a folder, memory-mapped; `to` makes them resident on a device.

    Attributes:
        index: DataFrame with id, variant, caption_sha256, row, key.
        meta: the content of meta.json.
        empty_row: the row of the empty prompt.

    Raises:
        DifflabError: the folder is absent, incomplete, or one of its parts does not belong to the others.
    """

    empty_row = 0

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "meta.json").exists():
            raise DifflabError(f"{self.folder} is no prompt cache: run `dvc repro cache_prompts`")
        self.meta = read_json(self.folder / "meta.json")
        self.index = read_parquet(self.folder / "index.parquet")
        self._rows = {(i, v): r for i, v, r in self.index[["id", "variant", "row"]].itertuples(index=False)}
        self._check_keys()
        self._shards, self._starts = self._open()

    def __len__(self) -> int:
        """The number of rows: distinct captions and the empty prompt."""
        return self.meta["rows"]

    def row(self, id: str, variant: str) -> int:
        """The row of a sample's caption.

        Raises:
            DifflabError: there is no such caption in the cache.
        """
        try:
            return self._rows[id, variant]
        except KeyError:
            raise DifflabError(
                f"{self.folder} has no '{variant}' caption of {id}: run `dvc repro cache_prompts`"
            ) from None

    def rows(self, ids: Sequence[str], variant: str) -> Tensor:
        """The rows of several samples: int64 [len(ids)]."""
        return torch.tensor([self.row(i, variant) for i in ids], dtype=torch.int64)

    def gather(self, rows: Tensor, device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
        """prompt_embeds [B, Lc + Lt, joint] and pooled_prompt_embeds [B, p] of int64 rows [B], as stored."""
        rows = rows.to(self._shards[0]["t5"].device)
        prompt_embeds, pooled = combine({part: self._select(part, rows) for part in _PARTS})
        return (prompt_embeds, pooled) if device is None else (prompt_embeds.to(device), pooled.to(device))

    def to(self, device: torch.device | str) -> "PromptTable":
        """Hold every row in the memory of `device`; `gather` then copies nothing between host and device."""
        whole = {part: torch.cat([shard[part] for shard in self._shards]).to(device) for part in _PARTS}
        self._shards, self._starts = [whole], [0]
        return self

    def check_captions(self, captions: pd.DataFrame) -> None:
        """Refuse the cache when a caption of the table is not the one that was embedded.

        Raises:
            DifflabError: a caption is absent or has changed.
        """
        known = self.index.set_index(["id", "variant"])["caption_sha256"].to_dict()
        for entry in captions.itertuples(index=False):
            if known.get((entry.id, entry.variant)) != caption_hash(entry.caption):
                raise DifflabError(
                    f"{self.folder} does not hold the present '{entry.variant}' caption of {entry.id}: "
                    "run `dvc repro cache_prompts`"
                )

    def check_encoders(self, fingerprint: str) -> None:
        """Refuse the cache of other encoders (`fingerprint`: `zoo.roles.fingerprint` of models/zoo/text)."""
        if self.meta["text_encoders"] != fingerprint:
            raise DifflabError(
                f"{self.folder} was made by encoders {self.meta['text_encoders']}, not by {fingerprint}: "
                "run `dvc repro cache_prompts`"
            )

    def _select(self, part: str, rows: Tensor) -> Tensor:
        if len(self._shards) == 1:
            return self._shards[0][part].index_select(0, rows)
        like = self._shards[0][part]
        result = torch.empty((len(rows), *like.shape[1:]), dtype=like.dtype)
        which = torch.searchsorted(torch.tensor(self._starts), rows, right=True) - 1
        for number in which.unique().tolist():
            mine = which == number
            result[mine] = self._shards[number][part].index_select(0, rows[mine] - self._starts[number])
        return result

    def _check_keys(self) -> None:
        settings = _settings(self.meta)
        for entry in self.index.itertuples(index=False):
            if entry.key != row_key(entry.caption_sha256, settings):
                raise DifflabError(
                    f"{self.folder}: the '{entry.variant}' entry of '{entry.id}' was made with "
                    "other encoders or settings than meta.json says: run `dvc repro cache_prompts`"
                )

    def _open(self) -> tuple[list[Encoded], list[int]]:
        from safetensors import safe_open
        from safetensors.torch import load_file

        keys = self.index.drop_duplicates("row").sort_values("row")["key"].tolist()
        shards, starts, start = [], [], 0
        for path in sorted(self.folder.glob("prompts-*.safetensors")):
            with safe_open(path, "pt") as file:
                own = file.metadata()["keys"].split()
            if own != keys[start : start + len(own)]:
                raise DifflabError(
                    f"{path} does not belong to the index beside it: run `dvc repro cache_prompts`"
                )
            shards.append(load_file(path))  # memory-mapped: pages are read when a row is
            starts.append(start)
            start += len(own)
        if start != self.meta["rows"] or start != len(keys):
            raise DifflabError(
                f"{self.folder} has {start} rows of {self.meta['rows']}: run `dvc repro cache_prompts`"
            )
        return shards, starts


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
    """Embed every distinct caption of a captions table and the empty prompt, and write the folder.

    Work is cut into shards, spread over processes and resumed from `scratch` (`store.sharding`).

    Args:
        captions: rows of `captions.table`; one text may occur under many ids and variants.
        fingerprint: identity of the encoders, `zoo.roles.fingerprint(models/zoo/text)`.
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

    def embed(chunk: list[str], path: Path) -> None:
        from safetensors.torch import save_file

        encoded = encoders.encode([texts[h] for h in chunk], batch_size)
        tensors = {part: encoded[part].to(dtype).contiguous() for part in _PARTS}
        save_file(tensors, path, metadata={"keys": " ".join(row_key(h, _settings(meta)) for h in chunk)})

    shards = process_chunks(
        hashes, shard_size, scratch, embed, what="prompt embeddings", suffix=".safetensors"
    )
    if shards is None:
        return None
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for number, shard in enumerate(shards):
            link_or_copy(shard, temporary / f"prompts-{number:05d}.safetensors")
        write_parquet(temporary / "index.parquet", _index(captions, hashes, meta))
        write_json(temporary / "meta.json", meta)
    return meta


def caption_hash(caption: str) -> str:
    return sha256_bytes(caption.encode())


def row_key(caption_sha256: str, settings: str) -> str:
    """16 hex digits of everything that an embedding depends on."""
    return sha256_bytes(f"{caption_sha256} {settings}".encode())[:16]


def _settings(meta: dict) -> str:
    return " ".join(
        str(meta[name]) for name in ("text_encoders", "clip_length", "max_sequence_length", "dtype")
    )


def _index(captions: pd.DataFrame, hashes: list[str], meta: dict) -> pd.DataFrame:
    row_of = {h: row for row, h in enumerate(hashes)}
    entries = captions[["id", "variant"]].assign(caption_sha256=captions["caption"].map(caption_hash))
    entries = entries.sort_values(["id", "variant"])
    empty = pd.DataFrame([{"id": "", "variant": EMPTY_VARIANT, "caption_sha256": hashes[0]}])
    index = pd.concat([empty, entries], ignore_index=True).astype(object)
    index["row"] = index["caption_sha256"].map(row_of).astype("int64")
    index["key"] = index["caption_sha256"].map(lambda h: row_key(h, _settings(meta)))
    return index


def _count_truncated(captions: pd.DataFrame, encoders: TextEncoders) -> dict[str, dict[str, int]]:
    """Captions that an encoder cuts, per encoder and variant, counted over samples."""
    counts: dict[str, dict[str, int]] = {}
    for variant, rows in captions.groupby("variant", sort=True):
        for name, cut in encoders.truncated(rows["caption"].tolist()).items():
            counts.setdefault(name, {})[variant] = int(cut.sum())
    return counts
