"""Numbers as OmegaConf reads them, many times as fast."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from difflab.core.base.errors import DifflabError
from difflab.core.params.loading import parse_yaml


@pytest.mark.parametrize("number", ["1e-4", "1E5", "-2e+3", "1.0e-08", "0.5", "5", ".5", "-3", "1_000", "inf", ".inf"])
def test_a_number_is_read_as_omegaconf_reads_it(number):
    text = f"value: {number}\n"
    assert parse_yaml(text, "x") == OmegaConf.to_container(OmegaConf.create(text))


@given(st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none())
def test_what_omegaconf_writes_is_read_back(value):
    assert parse_yaml(OmegaConf.to_yaml({"a": {"b": value}}), "x") == {"a": {"b": value}}


def test_the_parameters_of_the_study_are_read_as_by_omegaconf(root):
    text = (root / "params.yaml").read_text()
    assert parse_yaml(text, "params.yaml") == OmegaConf.to_container(OmegaConf.create(text))


def test_what_is_no_yaml_is_one_line_that_names_the_file():
    with pytest.raises(DifflabError, match=r"params\.yaml is not valid YAML: .*line 3"):
        parse_yaml("a: 1\nb: [", "params.yaml")


@pytest.mark.parametrize("text", ["seed: 0\nsplit: {}\nseed: 1\n", "split: {seed: 0, seed: 0}", "a:\n- {b: 1, b: 2}"])
def test_a_name_that_stands_twice_is_refused_as_dvc_does(text):
    with pytest.raises(DifflabError, match=r"params\.yaml is not valid YAML: '(seed|b)' stands twice at line \d"):
        parse_yaml(text, "params.yaml")


def test_what_a_merge_takes_over_may_be_given_anew():
    assert parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "x")["b"] == {"x": 1, "y": 3}


def test_an_unfinished_merge_is_named():
    text = "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n"
    with pytest.raises(DifflabError, match=r"params\.yaml holds an unfinished merge .*: take one side of each"):
        parse_yaml(text, "params.yaml")


@pytest.mark.parametrize("value", ["2024-13-45", "!!int x", "!!float x", "!!timestamp x", "!!set 3", "9" * 5000])
def test_a_value_that_there_is_not_is_one_line(value):
    with pytest.raises(DifflabError, match=r"params\.yaml is not valid YAML: ") as caught:
        parse_yaml(f"a: {value}", "params.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2]: 3", "? {a: 1}\n: 2", "? [a]\n: 1\n? [a]\n: 2"])
def test_names_that_are_no_text_are_one_line(text):
    with pytest.raises(DifflabError, match="is not valid YAML") as caught:
        parse_yaml(text, "x")
    assert "\n" not in str(caught.value)
