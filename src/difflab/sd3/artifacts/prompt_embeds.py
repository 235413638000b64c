"""Cached prompt embeddings: one row per distinct caption, kept per encoder, found by sample id and variant.

Layout of a folder, which `cache_prompts` writes (`difflab.sd3.caching.prompt_writer`):
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
from torch.nn import functional

from difflab.core.base.errors import DifflabError, reading
from difflab.core.base.files import read_json, read_parquet, read_tensor_facts, read_tensors
from difflab.core.base.roles import fingerprint
from difflab.sd3.artifacts import shards
from difflab.sd3.artifacts.cells import read_kind
from difflab.sd3.artifacts.prompt_keys import caption_hash, embedding_settings, row_key

FOLDER, TEXT = Path("data/prompt_embeds"), Path("models/zoo/text")
REMEDY = "run `dvc repro cache_prompts`"


class PromptTable:
    """The embeddings of a folder, memory-mapped.

    Attributes:
        index: DataFrame with id, variant, caption_sha256, row, key.
        text_encoders: fingerprint of the encoders.
        empty_row: the row of the empty prompt.

    Raises:
        DifflabError: the folder is absent, incomplete, or one of its parts does not belong to the others.
    """

    empty_row = 0

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "meta.json").exists():
            raise DifflabError(f"{self.folder} holds no prompt cache: {REMEDY}")
        meta = read_json(self.folder / "meta.json")
        self.index = read_parquet(self.folder / "index.parquet")
        with reading(self.folder, REMEDY):
            self.text_encoders, count = str(meta["text_encoders"]), int(meta["rows"])
            entries = self.index[["id", "variant", "row", "caption_sha256", "key"]]
            self._rows = {(i, v): r for i, v, r, *_ in entries.itertuples(index=False)}
            self._names = {r: f"'{v}' of '{i}'" if i else "the empty prompt" for (i, v), r in self._rows.items()}
            settings = embedding_settings(meta)
        for entry in self.index.itertuples(index=False):
            if entry.key != row_key(entry.caption_sha256, settings):
                raise DifflabError(
                    f"{self.folder}: the '{entry.variant}' entry of '{entry.id}' was made with "
                    f"other encoders or settings than meta.json says: {REMEDY}"
                )
        self._shards = self._open(count)
        shards.check(self._shards, {"clip_l", "clip_g", "t5", "pooled"}, self.folder, REMEDY)

    def _open(self, count: int) -> list[shards.Shard]:
        keys = self.index.drop_duplicates("row").sort_values("row")["key"].tolist()
        opened, start = [], 0
        for path in sorted(self.folder.glob("prompts-*.safetensors")):
            own = read_tensor_facts(path).get("keys", "").split()
            if own != keys[start : start + len(own)]:
                raise DifflabError(f"{path} does not belong to the index beside it: {REMEDY}")
            opened.append(read_tensors(path))  # memory-mapped: pages are read when a row is
            if any(len(own) != tensor.shape[:1].numel() for tensor in opened[-1].values()):
                raise DifflabError(f"{path} has not one row for each of its {len(own)} keys: {REMEDY}")
            start += len(own)
        if not start == count == len(keys):
            raise DifflabError(f"{self.folder} has {start} rows of {count}: {REMEDY}")
        return opened

    def rows(self, ids: Sequence[str], variant: str) -> Tensor:
        """The rows of samples' captions: int64 [len(ids)].

        Raises:
            DifflabError: there is no such caption in the cache.
        """
        if missing := [id for id in ids if (id, variant) not in self._rows]:
            raise DifflabError(f"{self.folder} has no '{variant}' caption of {missing[0]}: {REMEDY}")
        return torch.tensor([self._rows[id, variant] for id in ids], dtype=torch.int64)

    def gather(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """prompt_embeds [B, Lc + Lt, joint] and pooled_prompt_embeds [B, p] of int64 rows [B], as stored."""
        taken = shards.take(self._shards, rows)
        shards.check_rows(taken, [self._names[row] for row in rows.tolist()], self.folder, REMEDY)
        return combine(taken)

    def check_captions(self, captions: pd.DataFrame) -> None:
        """Refuse the cache, as a DifflabError, when a caption of the table is absent or has changed."""
        known = self.index.set_index(["id", "variant"])["caption_sha256"].to_dict()
        for id, variant, caption in captions[["id", "variant", "caption"]].itertuples(index=False):
            if known.get((id, variant)) != caption_hash(caption):
                raise DifflabError(f"{self.folder} does not hold the present '{variant}' caption of {id}: {REMEDY}")


def open_prompts(kinds: Sequence[str]) -> PromptTable:
    """The prompt embeddings of the study, for the kinds of captions ("blip2") that are going to be used.

    Raises:
        DifflabError: they are absent, incomplete, or not of the present text encoders and captions.
    """
    prompts, encoders = PromptTable(FOLDER), fingerprint(TEXT)
    if prompts.text_encoders != encoders:
        raise DifflabError(f"{FOLDER} was made by encoders {prompts.text_encoders}, not by {encoders}: {REMEDY}")
    for kind in kinds:
        prompts.check_captions(read_kind(kind))
    return prompts


def combine(encoded: shards.Shard) -> tuple[Tensor, Tensor]:
    """What the transformer takes: prompt_embeds [n, Lc + Lt, d3] and pooled_prompt_embeds [n, p1 + p2].

    CLIP states are joined on features and zero-padded to the width of T5, and T5 follows on the sequence axis
    (Esser et al. 2024, section 4; `StableDiffusion3Pipeline.encode_prompt`).

    Args:
        encoded: clip_l [n, Lc, d1], clip_g [n, Lc, d2], t5 [n, Lt, d3], pooled [n, p1 + p2].
    """
    clip = torch.cat([encoded["clip_l"], encoded["clip_g"]], dim=-1)
    clip = functional.pad(clip, (0, encoded["t5"].shape[-1] - clip.shape[-1]))
    return torch.cat([clip, encoded["t5"]], dim=-2), encoded["pooled"]
