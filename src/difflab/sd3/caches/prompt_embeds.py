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

from difflab.core.base.errors import DifflabError
from difflab.core.base.files import read_json, read_parquet
from difflab.images.store.captions import read_captions
from difflab.models.roles import fingerprint
from difflab.sd3.caches.prompt_keys import PARTS, caption_hash, embedding_settings, row_key

FOLDER, TEXT = Path("data/prompt_embeds"), Path("models/zoo/text")

Encoded = dict[str, Tensor]
"""clip_l [n, Lc, d1], clip_g [n, Lc, d2], t5 [n, Lt, d3], pooled [n, p1 + p2]; row i belongs to caption i."""


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
            raise DifflabError(f"{self.folder} holds no prompt cache: run `dvc repro cache_prompts`")
        self.meta = read_json(self.folder / "meta.json")
        self.index = read_parquet(self.folder / "index.parquet")
        self._rows = {(i, v): r for i, v, r in self.index[["id", "variant", "row"]].itertuples(index=False)}
        self._check_keys()
        self._shards, self._starts = self._open()

    def __len__(self) -> int:
        """The number of rows: distinct captions and the empty prompt."""
        return self.meta["rows"]

    @property
    def text_encoders(self) -> str:
        """Fingerprint of the encoders."""
        return self.meta["text_encoders"]

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
        prompt_embeds, pooled = combine({part: self._select(part, rows) for part in PARTS})
        return (prompt_embeds, pooled) if device is None else (prompt_embeds.to(device), pooled.to(device))

    def to(self, device: torch.device | str) -> "PromptTable":
        """Hold every row in the memory of `device`; `gather` then copies nothing between host and device."""
        whole = {part: torch.cat([shard[part] for shard in self._shards]).to(device) for part in PARTS}
        self._shards, self._starts = [whole], [0]
        return self

    def check_captions(self, captions: pd.DataFrame) -> None:
        """Refuse the cache when a caption of the table is not the one that was embedded.

        Raises:
            DifflabError: a caption is absent or has changed.
        """
        known = self.index.set_index(["id", "variant"])["caption_sha256"].to_dict()
        columns = (captions[name] for name in ("id", "variant", "caption"))
        for id, variant, caption in zip(*columns, strict=True):
            if known.get((id, variant)) != caption_hash(caption):
                raise DifflabError(
                    f"{self.folder} does not hold the present '{variant}' caption of {id}: "
                    "run `dvc repro cache_prompts`"
                )

    def check_encoders(self, fingerprint: str) -> None:
        """Refuse the cache of other encoders (`fingerprint`: `models.roles.fingerprint` of models/zoo/text).

        Raises:
            DifflabError: the encoders have changed since.
        """
        if self.text_encoders != fingerprint:
            raise DifflabError(
                f"{self.folder} was made by encoders {self.text_encoders}, not by {fingerprint}: "
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
        settings = embedding_settings(self.meta)
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
                raise DifflabError(f"{path} does not belong to the index beside it: run `dvc repro cache_prompts`")
            shards.append(load_file(path))  # memory-mapped: pages are read when a row is
            starts.append(start)
            start += len(own)
        if start != self.meta["rows"] or start != len(keys):
            raise DifflabError(f"{self.folder} has {start} rows of {self.meta['rows']}: run `dvc repro cache_prompts`")
        return shards, starts


def open_prompts(kinds: Sequence[str]) -> PromptTable:
    """The prompt embeddings of the study.

    Args:
        kinds: of captions that are going to be used, for example "blip2".

    Raises:
        DifflabError: they are absent, incomplete, or not of the present text encoders and captions.
    """
    prompts = PromptTable(FOLDER)
    prompts.check_encoders(fingerprint(TEXT))
    for kind in kinds:
        prompts.check_captions(read_captions(f"data/captions/{kind}.parquet"))
    return prompts


def combine(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """What the transformer takes: prompt_embeds [n, Lc + Lt, d3] and pooled_prompt_embeds [n, p1 + p2].

    CLIP states are joined on features and zero-padded to the width of T5, and T5 follows on the sequence axis
    (Esser et al. 2024, section 4; `StableDiffusion3Pipeline.encode_prompt`).
    """
    clip = torch.cat([encoded["clip_l"], encoded["clip_g"]], dim=-1)
    clip = functional.pad(clip, (0, encoded["t5"].shape[-1] - clip.shape[-1]))
    return torch.cat([clip, encoded["t5"]], dim=-2), encoded["pooled"]
