"""Parts of a model that were not trained together are refused, by name and with the way out."""

import pytest

from difflab.core.base.errors import DifflabError
from difflab.sd3.artifacts.components import check_base, check_components, write_components

OWN = {"vae": "1" * 16, "text_encoders": "2" * 16}


@pytest.mark.parametrize(("part", "name"), [("vae", "another autoencoder"), ("text_encoders", "other text encoders")])
def test_what_was_trained_with_another_part_is_refused(part, name):
    check_components("the adapter", OWN, OWN, "train it")
    with pytest.raises(DifflabError) as caught:
        check_components("the adapter", OWN | {part: "f" * 16}, OWN, "train it")
    assert str(caught.value) == f"the adapter was trained with {name} ({'f' * 16}, not {OWN[part]}): train it"


@pytest.mark.parametrize("part", OWN)
def test_a_record_that_lacks_a_part_is_no_record(part):
    with pytest.raises(DifflabError, match=r"\(\?, not "):
        check_components("the adapter", {k: v for k, v in OWN.items() if k != part}, OWN, "train it")


def test_further_parts_of_a_record_do_not_matter():
    check_components("the adapter", OWN | {"scheduler": "3"}, OWN, "train it")


def test_a_base_is_held_to_its_own_record(tmp_path):
    write_components(tmp_path, OWN)
    check_base(tmp_path, OWN)
    with pytest.raises(DifflabError, match=rf"^{tmp_path} was trained with .*: run `dvc repro zoo_transformer`$"):
        check_base(tmp_path, OWN | {"vae": "f" * 16})


def test_a_released_base_has_no_record_and_passes(tmp_path):
    check_base(tmp_path, OWN)
