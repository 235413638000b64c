"""The miniature stays behind `difflab.datasets`: neither the SD3 study nor a shared package speaks of its pictures."""

import re

import pytest

_DIGIT = re.compile(r"(?<!hex )(?<!significant )(?<!third )(?<!last )(?<!letters and )digit", re.IGNORECASE)


def modules(root, package):
    files = sorted((root / "src" / "difflab" / package).rglob("*.py"))
    assert files
    return {str(file.relative_to(root)): file.read_text() for file in files}


@pytest.mark.parametrize("package", ["sd3", "personal", "images", "models", "metrics", "training"])
def test_no_module_names_a_digit(root, package):
    found = {name: _DIGIT.findall(text) for name, text in modules(root, package).items()}
    assert [name for name, words in found.items() if words] == []


@pytest.mark.parametrize("package", ["sd3", "ddpm", "captioning", "personal"])
def test_studies_import_the_miniature_through_its_interface_alone(root, package):
    assert [name for name, text in modules(root, package).items() if "difflab.miniature" in text] == []
