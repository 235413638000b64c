"""A person's own pictures for the SD3 study: which there are, what comes with them, and their split.

    any folder/IMG 1.JPG, any folder/IMG 1.txt      a picture, and beside it its captions, one a line
    metadata.jsonl   {"file_name": "any folder/IMG 1.JPG", "text": "a dog", "group": "Rex", "outdoors": true}

The tables are those of `sets.formats.image_folder` (.jsonl, .csv, .parquet; one a folder); COCO's annotations are read too.
Every column but `file_name` may be missing, and so may rows and whole tables. `text`, `caption` and `captions` are
captions, pictures of one `group` stay in one split, columns of true and false are attributes. The split is drawn, unless
the column `split` or a folder's name says it (`sets.formats.splits`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from difflab.core.base import rng
from difflab.core.base.errors import DifflabError, printable
from difflab.core.base.files import sha256_bytes
from difflab.core.base.store.decoder import UnreadableImage, image_size
from difflab.core.base.store.split import SPLITS
from difflab.images.archives.pictures import NO_CAPTION, NO_PICTURE, list_pictures
from difflab.images.preparing.samples import Skipped, ordered_map, prepare, read_image, square_png
from difflab.images.sets.formats import coco, image_folder
from difflab.images.sets.formats.rows import clean
from difflab.images.sets.formats.splits import splits_of

if TYPE_CHECKING:
    from difflab.images.archives.opening import Archive
    from difflab.images.params import PrepareParams, SplitParams
    from difflab.images.preparing.store_writer import Sample

LEAST = {"train": 6, "val": 4, "test": 4}  # what the neighbours and the extrapolated distance of `score` need
MOST_CAPTIONS = 5  # of a picture; further ones are left out
CAPTIONS, VARIANT = "captions.parquet", "own"  # the table beside the pictures, and the kind of its captions
_CAPTIONS = ("text", "caption", "captions")
_TAKEN = ("id", "file", "present", "source", "sha256", "width", "height")  # columns of an image store
_ROW_NUMBERS = re.compile(r"\s*|Unnamed: \d+|__index_level_\d+__")  # columns that pandas adds
_FLAGS = {
    **dict.fromkeys(("true", "yes", "1", "1.0"), True),
    **dict.fromkeys(("false", "no", "0", "0.0", "-1", ""), False),
}


@dataclass
class OwnPictures:
    """The pictures of an archive by id, a hash of their path: one that is added moves no other."""

    table: pd.DataFrame  # by id, ascending: file, then one bool per attribute, false where nothing is said
    captions: dict[str, list[str]]  # clean lines, of the pictures that have some
    groups: dict[str, str]  # of the pictures that name one
    splits: dict[str, str]  # of those whose folder or row says one
    unused: list[str] = field(default_factory=list)  # columns that are neither of these


def read(archive: "Archive") -> OwnPictures:
    """The pictures of an archive with what its tables and texts say of them; what is no picture is passed over."""
    files = {file: f"own-{sha256_bytes(file.encode())[:16]}" for file in list_pictures(archive)}
    rows = _rows(archive)
    captions = _captions(archive, rows)
    archive.pass_over("said of a picture that is not there", sorted({*rows, *captions} - {*files}))
    known = {*files, *(name for names in archive.passed_over.values() for name in names)}
    stems = image_folder.stems_of(files)
    telling = [n for n in archive.names() if image_folder.tells(n, stems)] + list(coco.annotations(archive))
    archive.pass_over(NO_PICTURE, sorted({*archive.names()} - known - {*telling}))
    told = {files[file]: row for file, row in rows.items() if file in files}
    attributes, unused = _attributes(told)
    table = pd.DataFrame({"file": {id: file for file, id in files.items()}}).sort_index()
    for name, true in attributes.items():
        table[name] = table.index.isin(list(true))
    splits = splits_of(files) | {file: row["split"] for file, row in rows.items() if file in files and "split" in row}
    return OwnPictures(
        table,
        {files[file]: texts for file, texts in captions.items() if file in files},
        {id: str(row["group"]) for id, row in told.items() if row.get("group") not in (None, "")},
        {files[file]: split for file, split in splits.items()},
        unused,
    )


def _rows(archive: "Archive") -> dict[str, dict[str, Any]]:
    """What the tables say by file; of several rows about one the captions are put together, else the last counts."""
    found: dict[str, dict[str, Any]] = {}
    for where, file, row in image_folder.named_rows(archive):
        texts = [text for name in _CAPTIONS for text in image_folder.texts_of(row, name, where)]
        before = found.get(file, {})
        said = {name: value for name, value in row.items() if value is not None and name not in (*_CAPTIONS, "split")}
        if split := image_folder.row_split(row, where):
            if before.get("split", split) != split:
                raise DifflabError(
                    f"{where}: '{printable(file)}' is of {split} here and of {before['split']} before; correct it"
                )
            said["split"] = split
        found[file] = {**before, **said, "captions": [*before.get("captions", []), *texts]}
    return found


def _captions(archive: "Archive", rows: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The captions by file: of COCO's annotations, of texts beside the pictures, and of tables; the last that has some."""
    found: dict[str, Iterable[str]] = {}
    if coco.is_coco(archive):
        found |= {image.file: image.captions for images in coco.read(archive).values() for image in images}
    found |= image_folder.texts_beside(archive)
    for reason in (NO_CAPTION, NO_PICTURE):  # these are captioned, and what else there is says `read`
        archive.passed_over.pop(reason, None)
    found |= {file: row["captions"] for file, row in rows.items() if any(map(clean, row["captions"]))}
    cleaned = {file: [text for text in map(clean, texts) if text][:MOST_CAPTIONS] for file, texts in found.items()}
    return {file: texts for file, texts in cleaned.items() if texts}


def _attributes(rows: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, set[str]], list[str]]:
    """The columns of true and false with the ids of which they are true, and the columns that are something else."""
    other = ("file_name", "group", "split", "captions")
    names = dict.fromkeys(name for row in rows.values() for name in row if name not in other)
    found: dict[str, set[str]] = {}
    unused: list[str] = []
    for name in names:
        values = {id: str(row[name]).strip().lower() for id, row in rows.items() if name in row}
        unnamed = name in _TAKEN or printable(name) != name or _ROW_NUMBERS.fullmatch(name)
        if unnamed or not {*values.values()} <= _FLAGS.keys() or {*values.values()} == {""}:
            unused.append(printable(name).strip() or "(no name)")
        else:
            found[name] = {id for id, value in values.items() if _FLAGS[value]}
    return found, unused


def split_pictures(
    archive: "Archive", pictures: OwnPictures, table: pd.DataFrame, settings: "SplitParams", min_side: int
) -> pd.Series:
    """train, val or test by id of the rows of `table`: pictures of one group, and equal ones, are kept together.

    What a folder or row says stands, and what is together with it follows. A part that none names is drawn from the
    others, those of which nothing is said before those called train: by their content, into the first of test and val
    that has room for the whole group; a part that has too few then gets the smallest.

    Raises:
        DifflabError: the pictures of a group are said to be of several splits.
    """
    ids = table.index.tolist()
    contents = {
        id: sha256_bytes(content)
        for id, file in table["file"].items()
        if _is_usable(content := read_image(archive, file), min_side)
    }
    _check_groups(archive, pictures, table)
    split = {id: pictures.splits.get(id, "train") for id in ids}
    free: list[list[str]] = []
    for group in _together(list(contents), pictures.groups, contents):
        said = {pictures.splits[id] for id in group if id in pictures.splits}
        held_out = next((part for part in ("test", "val") if part in said), None)
        if held_out is None:
            free.append(group)
        else:
            split |= {id: held_out for id in group if id not in pictures.splits}
    drawn = _drawn(free, [part for part in ("test", "val") if part not in split.values()], contents, pictures, settings)
    for part, members in drawn.items():
        if called := [table["file"][id] for id in members if id in pictures.splits]:
            files = ", ".join(map(printable, called[:3])) + ", ..." * (len(called) > 3)
            print(f"{len(called)} of what a folder or row calls train go to {part}, which none names: {files}")
    return pd.Series(split | {id: part for part, members in drawn.items() for id in members}, name="split").loc[ids]


def _check_groups(archive: "Archive", pictures: OwnPictures, table: pd.DataFrame) -> None:
    said: dict[str, str] = {}
    for id in filter(table.index.__contains__, pictures.groups.keys() & pictures.splits.keys()):
        other = said.setdefault(pictures.groups[id], id)
        if pictures.splits[other] != pictures.splits[id]:
            names = " and ".join(f"{printable(table['file'][i])} of {pictures.splits[i]}" for i in sorted((id, other)))
            raise DifflabError(
                f"data.own: {archive.path}: in the group '{printable(pictures.groups[id])}' are {names}: a group shares "
                "a split, correct one of the two"
            )


def _drawn(
    groups: list[list[str]],
    parts: list[str],
    contents: Mapping[str, str],
    pictures: OwnPictures,
    settings: "SplitParams",
) -> dict[str, list[str]]:
    """Whom of these groups the parts get."""
    fractions = {"test": settings.test_fraction, "val": settings.val_fraction}
    room = {part: max(LEAST[part], round(fractions[part] * len(contents))) for part in parts}

    def is_told(group: list[str]) -> bool:
        return any(id in pictures.splits for id in group)

    def place(group: list[str]) -> int:
        return rng.key(settings.seed, "own split", min(contents[id] for id in group))

    taken: dict[str, list[str]] = {part: [] for part in parts}
    left: list[list[str]] = []
    for group in sorted(groups, key=lambda group: (is_told(group), place(group))):
        part = next((p for p in parts if len(taken[p]) + len(group) <= room[p]), None)
        if part is None:
            left.append(group)
        else:
            taken[part] += group
    left.sort(key=lambda group: (not is_told(group), -len(group)))  # of one size in the order that they were drawn in
    for part in parts:
        while len(taken[part]) < LEAST[part] and len(left) > 1:
            taken[part] += left.pop()
    return taken


def _is_usable(content: bytes, min_side: int) -> bool:
    """Whether a picture is one and large enough, by its header: what is not must not take up a place in a small split."""
    try:
        return min(image_size(content, "image")) >= min_side
    except UnreadableImage:
        return False


def _together(ids: list[str], groups: Mapping[str, str], contents: Mapping[str, str]) -> list[list[str]]:
    """The ids that share a group or their content, directly or by others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes: dict[tuple[str, str], int] = {}
    edges = []
    for row, id in enumerate(ids):
        shared = [("content", contents[id])] + ([("group", groups[id])] if id in groups else [])
        edges += [(row, len(ids) + nodes.setdefault(node, len(nodes))) for node in shared]
    size = len(ids) + len(nodes)
    rows, columns = np.array(edges).reshape(-1, 2).T
    _, labels = connected_components(coo_array((np.ones(len(edges)), (rows, columns)), (size, size)), directed=False)
    found: dict[int, list[str]] = {}
    for id, label in zip(ids, labels.tolist(), strict=False):
        found.setdefault(label, []).append(id)
    return list(found.values())


def samples(archive: "Archive", table: pd.DataFrame, settings: "PrepareParams", skipped: Skipped) -> "Iterator[Sample]":
    """The pictures as squares of `prepare.min_side`, in id order; smaller and unreadable ones are noted in `skipped`."""
    rows = list(table["file"].items())
    jobs = ((read_image(archive, file), settings.min_side) for _, file in rows)
    squares = ordered_map(square_png, jobs, settings.num_workers)
    yield from prepare(rows, squares, "own pictures", settings, skipped)


def check_counts(archive: "Archive", index: pd.DataFrame, skipped: Skipped, min_side: int) -> None:
    """Refuse fewer usable pictures than a split needs."""
    counts = {split: int((index["split"] == split).sum()) for split in SPLITS}
    if all(counts[split] >= least for split, least in LEAST.items()):
        return
    found = ", ".join(f"{counts[split]} to {split} (of {least} at least)" for split, least in LEAST.items())
    problems = [f"{len(skipped.small):,} are smaller than prepare.min_side {min_side}"] * bool(skipped.small)
    problems += [f"{len(skipped.unreadable):,} cannot be read"] * bool(skipped.unreadable)
    problems += ["equal pictures share a split"] * (index["sha256"].nunique() < len(index))
    remedy = "; ".join([*problems, "add pictures, make groups smaller, or call fewer of them train, val or test"])
    raise DifflabError(f"data.own: {archive.path} gives {found}: {remedy}")


def captions_table(pictures: OwnPictures, index: pd.DataFrame) -> pd.DataFrame:
    """The captions of the stored pictures as `core.base.store.captions` keeps them: variants `own`, `own-1`, ...

    Every picture that has captions has each variant: those with fewer repeat theirs in turn.
    """
    sha256 = index.set_index("id")["sha256"]
    told = {id: texts for id, texts in pictures.captions.items() if id in sha256.index}
    most = max(map(len, told.values()), default=0)
    rows = [
        (id, f"{VARIANT}-{place}" if place else VARIANT, texts[place % len(texts)], sha256[id])
        for id, texts in told.items()
        for place in range(most)
    ]
    return pd.DataFrame(rows, columns=["id", "variant", "caption", "source_sha256"])
