"""Each format of files is opened in one place, which turns whatever its library raises into one line."""

import re

import pytest

FORMATS = {
    r"safe_open|safetensors\.\w+ import .*\bload|\bload_file\(": {"core/base/files.py"},
    r"pd\.read_parquet|pandas\.read_parquet": {"core/base/files.py"},
    r"pq\.(read_table|ParquetFile)": {"core/base/store/image_store.py", "images/sets/formats/image_folder.py"},
    r"pd\.read_csv": {"core/base/files.py"},
    r"zipfile\.ZipFile\((?!temporary)": {"core/base/files.py", "images/archives/opening.py"},
    r"\bImage\.open\(": {"core/base/store/decoder.py", "miniature/data/sources.py", "report/figures.py"},
    r"(?<!schedulers\.)(?<!_)\bkind\.from_pretrained\(|\b[A-Z]\w+\.from_pretrained\(": {
        "core/base/pretrained.py",
        "models/adapters/model_card.py",
    },
    r"\bnp\.load\(": {"captioning/sweep_cells.py", "stages/ddpm/ddpm_sample.py", "stages/personal/personal.py"},
    r"\btorch\.load\(": {"metrics/features/inception.py"},
    r"yaml\.(safe_)?load\(": {"core/params/loading.py", "report/study_tables.py"},
}


@pytest.mark.parametrize("pattern", FORMATS)
def test_a_format_is_opened_by_its_readers_alone(root, pattern):
    """`report/figures.py`, `miniature/data` and those of `np.load` open what the package itself has just made, or holds."""
    modules = {p.relative_to(root / "src/difflab").as_posix(): p for p in (root / "src/difflab").rglob("*.py")}
    modules |= {p.relative_to(root).as_posix(): p for p in (root / "stages").rglob("*.py")}
    assert {name for name, path in modules.items() if re.search(pattern, path.read_text())} == FORMATS[pattern]
