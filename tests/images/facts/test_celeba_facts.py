"""Facts of CelebA: every attribute is told, contradictions are found and resolved by rule, captions keep them."""

import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.images.facts.celeba_facts import CELEBA, FACTS

_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
COLUMNS = _NAMES.split()


def face(*true: str) -> dict[str, bool]:
    return {name: name in true for name in COLUMNS}


def test_golden_facts_of_a_man():
    assert CELEBA.sentences(face("Male", "Young", "Smiling", "Black_Hair", "Goatee", "Wearing_Necktie")) == [
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
    assert CELEBA.sentences(attributes) == [
        "This is a woman.",
        "Many would call the face attractive.",
        "The hair is blond.",
        "The hair falls in waves.",
        "The makeup is heavy.",
        "There is lipstick on the lips.",
    ]


@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in ("Male", "No_Beard")])
def test_each_celeba_attribute_adds_one_fact_of_its_own(name):
    man = face("Male")  # with a beard, so that nothing contradicts
    added = set(CELEBA.sentences({**man, name: True})) - set(CELEBA.sentences(man))
    assert len(added) == 1


def test_sex_is_always_told_and_a_beard_only_when_there_is_one():
    assert CELEBA.sentences(face("No_Beard")) == ["This is a woman."]
    assert CELEBA.sentences(face("Male", "No_Beard")) == ["This is a man."]
    assert CELEBA.sentences(face("Male")) == ["This is a man.", "A beard covers the chin."]


def test_all_sentences_differ():
    assert len({fact.sentence for fact in FACTS}) == len(FACTS) == 41  # 38 attributes, two sexes, the beard


def test_opinions_are_dropped_on_request():
    attributes = face("Male", "No_Beard", "Young", "Attractive", "Chubby", "Smiling")
    assert CELEBA.sentences(attributes, subjective="drop") == ["This is a man.", "There is a smile on the face."]
    assert len(CELEBA.sentences(attributes, subjective="keep")) == 5


@pytest.mark.parametrize(
    ("true", "found", "told"),
    [
        (("Mustache", "No_Beard"), "facial_hair_not_male", ["This is a woman."]),
        (("Smiling",), "facial_hair_not_male", ["This is a woman.", "There is a smile on the face."]),
        (("Male", "No_Beard", "Bald", "Gray_Hair"), "bald_with_hair", ["This is a man.", "The head is bald."]),
        (("Male", "No_Beard", "Goatee"), "goatee_no_beard", ["This is a man.", "A goatee grows on the chin."]),
        (("No_Beard", "Straight_Hair", "Wavy_Hair"), "straight_and_wavy", ["This is a woman."]),
    ],
)
def test_contradictions_are_named_and_resolved(true, found, told):
    assert CELEBA.contradicted(face(*true)) == [found]
    assert CELEBA.sentences(face(*true)) == told


def test_plausible_pairs_are_no_contradicted():
    for true in (
        ("Black_Hair", "Gray_Hair"),
        ("Male", "5_o_Clock_Shadow"),
        ("Male", "Mustache"),
        ("Male", "Sideburns"),
    ):
        assert CELEBA.contradicted(face("No_Beard", *true)) == []


@given(st.sets(st.sampled_from(COLUMNS)), st.permutations(COLUMNS))
def test_facts_depend_on_truth_alone_not_on_column_order(true, order):
    shuffled = {name: name in true for name in order}
    assert CELEBA.sentences(shuffled) == CELEBA.sentences(face(*true))
    assert CELEBA.contradicted(shuffled) == CELEBA.contradicted(face(*true))


@given(st.sets(st.sampled_from(COLUMNS)))
def test_no_woman_is_told_to_have_facial_hair(true):
    told = " ".join(CELEBA.sentences(face(*true)))
    if "Male" not in true:
        assert not any(word in told for word in ("beard", "goatee", "mustache", "Sideburns", "Stubble"))


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
    assert sorted(names) == sorted(COLUMNS)

    frame = pd.DataFrame(rows)
    facial = frame[["Mustache", "Goatee", "Sideburns", "5_o_Clock_Shadow"]].any(axis=1) | ~frame["No_Beard"]
    assert (~frame["No_Beard"]).sum() == 5672
    assert (~frame["No_Beard"] & ~frame["Male"]).sum() == 10

    counts = {rule.name: 0 for rule in CELEBA.contradictions}
    for row in rows:
        for name in CELEBA.contradicted(row):
            counts[name] += 1
    assert counts["facial_hair_not_male"] == (facial & ~frame["Male"]).sum() == 11
    assert counts["goatee_no_beard"] == (frame["Goatee"] & frame["No_Beard"]).sum() == 9
    assert counts["straight_and_wavy"] == (frame["Straight_Hair"] & frame["Wavy_Hair"]).sum() == 200
    hair = frame[["Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bangs", "Straight_Hair", "Wavy_Hair"]]
    assert counts["bald_with_hair"] == (frame["Bald"] & hair.any(axis=1)).sum() == 214

    lengths = [len(CELEBA.sentences(row)) for row in rows]
    assert sum("A beard covers the chin." in CELEBA.sentences(row) for row in rows) == 5672 - 10
    assert max(lengths) <= 20
    # One fact per true attribute but Male and No_Beard, one for the sex, one for a beard.
    told = frame.drop(columns=["Male", "No_Beard"]).sum(axis=1) + 1 + ~frame["No_Beard"]
    contradictory = pd.Series([bool(CELEBA.contradicted(row)) for row in rows])
    assert (told[~contradictory] == pd.Series(lengths)[~contradictory]).all()
    assert told.mean() == pytest.approx(9.9143, abs=1e-4)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.attribute)
def test_the_pattern_of_a_fact_finds_its_own_sentence_and_no_other(fact):
    found = [other.attribute for other in FACTS if fact.kept(other.sentence)]
    assert found == [fact.attribute]


@pytest.mark.parametrize(
    ("caption", "attribute", "kept"),
    [
        ("a smiling young woman with long dark hair and glasses", "Eyeglasses", True),
        ("a smiling young woman with long dark hair and glasses", "Black_Hair", True),
        ("long dark brown hair", "Black_Hair", False),
        ("long dark brown hair", "Brown_Hair", True),
        ("Her hair is dark blonde.", "Black_Hair", False),
        ("Her hair is dark brown.", "Brown_Hair", True),
        ("Her hair is a rich brown.", "Brown_Hair", True),
        ("brownish, wavy hair", "Brown_Hair", True),
        ("brown-coloured hair", "Brown_Hair", True),
        ("His hair is jet black.", "Black_Hair", True),
        ("Hair color: black", "Black_Hair", True),
        ("His hair is turning gray.", "Gray_Hair", True),
        ("salt-and-pepper hair", "Gray_Hair", True),
        ("The background appears blurred.", "Blurry", False),
        ("a blurry, green background", "Blurry", False),
        ("Her makeup is minimal.", "Heavy_Makeup", False),
        ("a tie-dye shirt", "Wearing_Necktie", False),
        ("He raises his wine-glasses.", "Eyeglasses", False),
        ("a woman with no beard", "not No_Beard", False),
        ("a bearded man in a suit and tie", "not No_Beard", True),
        ("a bearded man in a suit and tie", "Wearing_Necktie", True),
        ("a woman in a hat", "Male", False),
        ("her moustache is false", "Mustache", True),
        ("a man of the city", "Wearing_Hat", False),
        ("A man without glasses looks at the camera.", "Eyeglasses", False),
        ("Two glasses of wine before a man.", "Eyeglasses", False),
        ("The woman is not smiling.", "Smiling", False),
        ("An unsmiling woman.", "Smiling", False),
        ("A clean-shaven man.", "not No_Beard", False),
        ("She wears neither earrings nor a necklace.", "Wearing_Necklace", False),
        ("A woman in a black dress, with long blond hair.", "Black_Hair", False),
        ("A woman in a black dress, with long blond hair.", "Blond_Hair", True),
        ("Her hair is very long and black.", "Black_Hair", True),
        ("A black-haired man.", "Black_Hair", True),
        ("A woman with brown eyes and blond hair.", "Brown_Hair", False),
        ("A man in a gray suit.", "Gray_Hair", False),
        ("A man in an open collar.", "Mouth_Slightly_Open", False),
        ("Her lips are slightly parted.", "Mouth_Slightly_Open", True),
        ("She looks straight at the camera.", "Straight_Hair", False),
        ("She waves.", "Wavy_Hair", False),
        ("A pale blue shirt.", "Pale_Skin", False),
        ("A man before a blurred background.", "Blurry", False),
        ("He casts a shadow.", "5_o_Clock_Shadow", False),
        ("Light makeup.", "Heavy_Makeup", False),
        ("Hair that is black.", "Black_Hair", True),
        ("Her hair isn't black but brown.", "Brown_Hair", True),
        ("Her hair isn't black but brown.", "Black_Hair", False),
        ("Hair as black as coal.", "Black_Hair", True),
        ("A big red nose.", "Big_Nose", True),
        ("A not-so-big nose.", "Big_Nose", False),
        ("Full, red lips.", "Big_Lips", True),
        ("Eyebrows that are arched.", "Arched_Eyebrows", True),
        ("A bow-tie.", "Wearing_Necktie", False),
        ("She ties her hair.", "Wearing_Necktie", False),
        ("Neckties.", "Wearing_Necktie", True),
        ("A hat-trick.", "Wearing_Hat", False),
        ("His glasses are off.", "Eyeglasses", False),
        ("A pretty old man.", "Attractive", False),
    ],
)
def test_free_captions_of_faces(caption, attribute, kept):
    (fact,) = [f for f in FACTS if f.attribute == attribute]
    assert fact.kept(caption) == kept
