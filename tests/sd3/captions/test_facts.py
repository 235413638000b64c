"""Facts: every attribute is told, contradictions are found and resolved by rule."""

import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.core.base.errors import DifflabError
from difflab.images.facts.celeba_facts import FACTS
from difflab.miniature.pictures.blend import ATTRIBUTES
from difflab.miniature.words.templates import detailed_caption
from difflab.sd3.captions.facts import contradiction_names, contradictions, facts

_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
CELEBA = _NAMES.split()


def face(*true: str) -> dict[str, bool]:
    return {name: name in true for name in CELEBA}


def digit(*true: str) -> dict[str, bool]:
    return {name: name in true for name in ATTRIBUTES}


def test_golden_facts_of_a_man():
    assert facts(face("Male", "Young", "Smiling", "Black_Hair", "Goatee", "Wearing_Necktie")) == [
        "This is a man.",
        "They look young.",
        "There is a smile on the face.",
        "The hair is black.",
        "A beard covers the chin.",
        "A goatee grows on the chin.",
        "They wear a necktie.",
    ]


def test_golden_facts_of_a_woman():
    attributes = face("No_Beard", "Attractive", "Blond_Hair", "Wavy_Hair", "Wearing_Lipstick", "Heavy_Makeup")
    assert facts(attributes) == [
        "This is a woman.",
        "Many would call the face attractive.",
        "The hair is blond.",
        "The hair falls in waves.",
        "The makeup is heavy.",
        "There is lipstick on the lips.",
    ]


def test_golden_facts_of_a_digit():
    attributes = digit("Digit_7", "Photo_Cat", "Thin", "Slanted_Right", "Blue_Digit", "Grey")
    assert facts(attributes) == [
        "The digit is a seven.",
        "The background is a photo of a cat.",
        "The stroke is thin.",
        "The digit is blue.",
        "The digit is slanted right.",
        "The background is grey.",
    ]


@pytest.mark.parametrize("name", [name for name in CELEBA if name not in ("Male", "No_Beard")])
def test_each_celeba_attribute_adds_one_fact_of_its_own(name):
    man = face("Male")  # with a beard, so that nothing contradicts
    added = set(facts({**man, name: True})) - set(facts(man))
    assert len(added) == 1


def test_sex_is_always_told_and_a_beard_only_when_there_is_one():
    assert facts(face("No_Beard")) == ["This is a woman."]
    assert facts(face("Male", "No_Beard")) == ["This is a man."]
    assert facts(face("Male")) == ["This is a man.", "A beard covers the chin."]


def test_all_sentences_differ():
    assert len({fact.sentence for fact in FACTS}) == len(FACTS) == 41  # 38 attributes, two sexes, the beard


def test_each_attribute_of_the_miniature_is_told():
    plain = digit("Digit_1")
    for name in ATTRIBUTES[10:]:
        assert len(set(facts({**plain, name: True})) - set(facts(plain))) == 1, name


def test_opinions_are_dropped_on_request():
    attributes = face("Male", "No_Beard", "Young", "Attractive", "Chubby", "Smiling")
    assert facts(attributes, subjective="drop") == ["This is a man.", "There is a smile on the face."]
    assert len(facts(attributes, subjective="keep")) == 5


@pytest.mark.parametrize(
    ("true", "found", "told"),
    [
        (("Mustache", "No_Beard"), "facial_hair_not_male", ["This is a woman."]),
        (("Smiling",), "facial_hair_not_male", ["This is a woman.", "There is a smile on the face."]),
        (
            ("Male", "No_Beard", "Bald", "Gray_Hair"),
            "bald_with_hair",
            ["This is a man.", "The head is bald."],
        ),
        (
            ("Male", "No_Beard", "Goatee"),
            "goatee_no_beard",
            ["This is a man.", "A goatee grows on the chin."],
        ),
        (("No_Beard", "Straight_Hair", "Wavy_Hair"), "straight_and_wavy", ["This is a woman."]),
    ],
)
def test_contradictions_are_named_and_resolved(true, found, told):
    assert contradictions(face(*true)) == [found]
    assert facts(face(*true)) == told


def test_plausible_pairs_are_no_contradictions():
    for true in (
        ("Black_Hair", "Gray_Hair"),
        ("Male", "5_o_Clock_Shadow"),
        ("Male", "Mustache"),
        ("Male", "Sideburns"),
    ):
        assert contradictions(face("No_Beard", *true)) == []


def test_opposites_of_the_miniature_drop_each_other():
    attributes = digit("Digit_2", "Thick", "Thin", "Bright_Background", "Dark_Background")
    assert contradictions(attributes) == ["thick_and_thin", "bright_background_and_dark_background"]
    assert facts(attributes) == ["The digit is a two."]


@given(st.sets(st.sampled_from(CELEBA)), st.permutations(CELEBA))
def test_facts_depend_on_truth_alone_not_on_column_order(true, order):
    shuffled = {name: name in true for name in order}
    assert facts(shuffled) == facts(face(*true))
    assert contradictions(shuffled) == contradictions(face(*true))


@given(st.sets(st.sampled_from(CELEBA)))
def test_no_woman_is_told_to_have_facial_hair(true):
    told = " ".join(facts(face(*true)))
    if "Male" not in true:
        assert not any(word in told for word in ("beard", "goatee", "mustache", "Sideburns", "Stubble"))


@given(st.sets(st.sampled_from(ATTRIBUTES[10:])))
def test_facts_of_the_miniature_never_exclude_each_other(true):
    told = " ".join(facts(digit("Digit_4", *true)))
    for a, b in (("thick", "thin"), ("slanted left", "slanted right"), ("bright", "dim"), ("warm", "cool")):
        assert not (a in told and b in told)


def test_unknown_tables_are_refused():
    with pytest.raises(DifflabError, match=r"neither CelebA's 40 nor the miniature's"):
        facts({"Striped": True})
    with pytest.raises(DifflabError, match="lacks the CelebA column Young"):
        facts({name: False for name in CELEBA if name != "Young"})


def test_a_detailed_caption_is_a_function_of_the_facts():
    """What the miniature's Llama is asked for can be told from its facts: no attribute without a fact."""
    seen: dict[tuple[str, ...], str] = {}
    for name in ATTRIBUTES[22:]:
        attributes = digit("Digit_5", "Photo_Rocket", name)
        assert seen.setdefault(tuple(facts(attributes)), detailed_caption(attributes)) == detailed_caption(
            attributes
        )
    assert len(seen) == len(ATTRIBUTES) - 22


def test_golden_counts_on_the_real_attribute_table(data_root):
    """30,000 rows of CelebAMask-HQ, against counts made with pandas alone."""
    archive = data_root / "celeba" / "CelebAMask-HQ.zip"
    if not archive.exists():
        pytest.skip("celeba/CelebAMask-HQ.zip is absent from the data root")
    with zipfile.ZipFile(archive) as files:
        lines = files.read("CelebAMask-HQ/CelebAMask-HQ-attribute-anno.txt").decode().splitlines()
    names = lines[1].split()
    rows = [dict(zip(names, (v == "1" for v in line.split()[1:]), strict=True)) for line in lines[2:]]
    assert len(rows) == 30000
    assert sorted(names) == sorted(CELEBA)

    frame = pd.DataFrame(rows)
    facial = frame[["Mustache", "Goatee", "Sideburns", "5_o_Clock_Shadow"]].any(axis=1) | ~frame["No_Beard"]
    assert (~frame["No_Beard"]).sum() == 5672
    assert (~frame["No_Beard"] & ~frame["Male"]).sum() == 10

    counts = {name: 0 for name in contradiction_names(names)}
    for row in rows:
        for name in contradictions(row):
            counts[name] += 1
    assert counts["facial_hair_not_male"] == (facial & ~frame["Male"]).sum() == 11
    assert counts["goatee_no_beard"] == (frame["Goatee"] & frame["No_Beard"]).sum() == 9
    assert counts["straight_and_wavy"] == (frame["Straight_Hair"] & frame["Wavy_Hair"]).sum() == 200
    hair = frame[
        ["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bangs", "Straight_Hair", "Wavy_Hair"]
    ]
    assert counts["bald_with_hair"] == (frame["Bald"] & hair.any(axis=1)).sum() == 214

    lengths = [len(facts(row)) for row in rows]
    assert sum("A beard covers the chin." in facts(row) for row in rows) == 5672 - 10
    assert max(lengths) <= 20
    # One fact per true attribute but Male and No_Beard, one for the sex, one for a beard.
    told = frame.drop(columns=["Male", "No_Beard"]).sum(axis=1) + 1 + ~frame["No_Beard"]
    contradictory = pd.Series([bool(contradictions(row)) for row in rows])
    assert (told[~contradictory] == pd.Series(lengths)[~contradictory]).all()
    assert told.mean() == pytest.approx(9.9143, abs=1e-4)
