"""What DVC gets of its files is what it parses itself, and it parses each text once."""

import pytest
from dvc.dependency.param import read_param_file
from dvc.fs import LocalFileSystem
from dvc.utils import strictyaml
from dvc.utils.serialize import YAMLFileCorruptedError, load_yaml, parse_yaml

from difflab.cli import parsed_files
from difflab.cli.parsed_files import parsed_once, remember

VALUES = """\
a: {b: 1, "c.d": 2, list: [x, {y: z}], none: null, small: 1e-05, yes: 'no', 3: three}
text: "two\\nlines"
"""


@pytest.fixture
def counted(monkeypatch):
    """The texts that are parsed, with nothing known before."""
    import ruamel.yaml

    parsed_files._pickled.cache_clear()
    texts, load = [], ruamel.yaml.YAML.load
    monkeypatch.setattr(ruamel.yaml.YAML, "load", lambda self, text: texts.append(text) or load(self, text))
    yield texts
    parsed_files._pickled.cache_clear()


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml", "dvc.lock"])
def test_the_files_of_the_repository_are_what_dvc_makes_of_them(root, name):
    text = (root / name).read_text()
    expected = parse_yaml(text, name)
    with parsed_once():
        assert load_yaml(root / name) == expected
        assert strictyaml.load(str(root / name)) == (expected, text)


@pytest.mark.parametrize("text", ["", "a: 1\n", "a: &x {b: 1}\nc: *x\n", VALUES])
def test_any_text_is_parsed_as_by_dvc(text):
    expected = parse_yaml(text, "any")
    with parsed_once():
        assert parse_yaml(text, "any") == expected  # of the module, as it was imported
        assert strictyaml.parse_yaml(text, "any") == expected
        assert [type(v) for v in strictyaml.parse_yaml(text, "any").values()] == [type(v) for v in expected.values()]


def test_a_text_is_parsed_once_and_each_reader_has_a_copy(tmp_path, counted):
    (tmp_path / "params.yaml").write_text(VALUES)
    remember(tmp_path / "params.yaml", tmp_path / "absent.yaml")
    with parsed_once():
        first = load_yaml(tmp_path / "params.yaml")
        first["a"]["list"].append("changed")
        assert load_yaml(tmp_path / "params.yaml")["a"]["list"] == ["x", {"y": "z"}]
        assert counted == [VALUES]
        (tmp_path / "params.yaml").write_text("a: 2\n")
        assert load_yaml(tmp_path / "params.yaml") == {"a": 2}
        assert counted == [VALUES, "a: 2\n"]


def test_a_damaged_file_is_named_as_by_dvc(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    remember(tmp_path / "broken.yaml")
    with pytest.raises(YAMLFileCorruptedError) as expected:
        load_yaml(tmp_path / "broken.yaml")
    with parsed_once(), pytest.raises(YAMLFileCorruptedError) as error:
        load_yaml(tmp_path / "broken.yaml")
    assert str(error.value) == str(expected.value)


def test_parameters_are_looked_up_as_by_dvc(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(VALUES)
    keys = ["a", "a.b", "a.list", "a.list.0", "a.list.1.y", "a.none", "a.missing", "text", "text.x", "a.s*l", "nope"]
    expected = read_param_file(LocalFileSystem(), str(file), keys, flatten=True)
    assert expected.keys() > {"a.b", "a.list.1.y", "a.none"}
    with parsed_once():
        assert read_param_file(LocalFileSystem(), str(file), keys, flatten=True) == expected


def test_dvc_is_left_as_it_was():
    from dvc.dependency import param
    from dvc.utils import serialize

    places = [(serialize, "parse_yaml"), (serialize._yaml, "parse_yaml"), (strictyaml, "parse_yaml"), (param, "dpath")]
    before = [getattr(*place) for place in places]
    with parsed_once():
        assert all(getattr(*place) is not one for place, one in zip(places, before, strict=True))
    assert [getattr(*place) for place in places] == before
