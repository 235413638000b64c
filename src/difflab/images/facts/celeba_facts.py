"""The facts of the 40 CelebA attributes, in the words of this project.

Sex is always told, as "a man" or "a woman". A beard is told when `No_Beard` is false, and nothing when it is
true: a face without a beard needs no word for it.
"""

from difflab.images.facts.data_set import Attributes, Contradiction, DataSet, Fact, all_of

FACTS = (
    Fact("Male", "This is a man.", r"\b(man|male|he|his|boy|gentleman)\b"),
    Fact("not Male", "This is a woman.", r"\b(woman|female|she|her|girl|lady)\b"),
    Fact("Young", "They look young.", r"\b(young|youthful|girl|boy)\b"),
    Fact("Attractive", "Many would call the face attractive.", r"\b(attractive|beautiful|handsome|pretty)\b"),
    Fact("Chubby", "The face is full and round.", r"\b(chubby|full face|round face|full and round|plump)\b"),
    Fact("Oval_Face", "The outline of the face is oval.", r"\boval\b"),
    Fact("Pale_Skin", "The skin is pale.", r"\b(pale|fair skin|fair-skinned)\b"),
    Fact("Rosy_Cheeks", "The cheeks are rosy.", r"\b(rosy|blush\w*|flushed)\b"),
    Fact("High_Cheekbones", "The cheekbones sit high.", r"\bcheekbones?\b"),
    Fact("Double_Chin", "A double chin shows.", r"\bdouble chin\b"),
    Fact("Big_Nose", "The nose is large.", r"\b(big|large|prominent|broad|wide) nose\b|\bnose is large\b"),
    Fact("Pointy_Nose", "The nose comes to a point.", r"\b(pointy|pointed|sharp|point)\b"),
    Fact("Big_Lips", "The lips are full.", r"\b(big|full|large|plump)(er)? lips\b|\blips are full\b"),
    Fact("Narrow_Eyes", "The eyes are narrow.", r"\b(narrow|narrowed|squint\w*)\b"),
    Fact("Bags_Under_Eyes", "There are bags under the eyes.", r"\bbags\b|\bunder-eye\b"),
    Fact("Arched_Eyebrows", "The eyebrows are arched.", r"\barch(ed|ing)\b"),
    Fact("Bushy_Eyebrows", "The eyebrows are bushy.", r"\b(bushy|thick|dense) (eye)?brows\b|\bbushy\b"),
    Fact("Smiling", "There is a smile on the face.", r"\b(smil\w+|grin\w*|smile)\b"),
    Fact("Mouth_Slightly_Open", "The mouth is slightly open.", r"\b(open|parted)\b"),
    Fact("Black_Hair", "The hair is black.", r"\b(black|dark)[\w ,-]* hair\b|\bhair is black\b"),
    Fact("Blond_Hair", "The hair is blond.", r"\bblonde?\b"),
    Fact("Brown_Hair", "The hair is brown.", r"\b(brown|brunette|chestnut)\b"),
    Fact("Gray_Hair", "The hair is gray.", r"\b(gr[ae]y|silver|white-haired)\b"),
    Fact("Bald", "The head is bald.", r"\bbald\w*\b"),
    Fact("Bangs", "Bangs fall over the forehead.", r"\b(bangs|fringe)\b"),
    Fact("Receding_Hairline", "The hairline has moved back.", r"\breced\w+\b|\bhairline\b"),
    Fact("Straight_Hair", "The hair is straight.", r"\bstraight\b"),
    Fact("Wavy_Hair", "The hair falls in waves.", r"\b(wavy|waves|curly)\b"),
    Fact("not No_Beard", "A beard covers the chin.", r"(?<!no )\bbeard(ed)?\b"),
    Fact("5_o_Clock_Shadow", "Stubble darkens the jaw.", r"\b(stubble\w*|shadow|unshaven)\b"),
    Fact("Goatee", "A goatee grows on the chin.", r"\bgoatee\b"),
    Fact("Mustache", "A mustache grows above the lip.", r"\bmo?ustach\w*\b"),
    Fact("Sideburns", "Sideburns run down the cheeks.", r"\bsideburns?\b"),
    Fact("Heavy_Makeup", "The makeup is heavy.", r"\bmake-?up\b"),
    Fact("Wearing_Lipstick", "There is lipstick on the lips.", r"\blipstick\b"),
    Fact("Eyeglasses", "They wear glasses.", r"\b(\w*glasses|spectacles)\b"),
    Fact("Wearing_Earrings", "They wear earrings.", r"\bear-?rings?\b"),
    Fact("Wearing_Hat", "They wear a hat.", r"\b(hat|cap|beanie)\b"),
    Fact("Wearing_Necklace", "They wear a necklace.", r"\bnecklace\b"),
    Fact("Wearing_Necktie", "They wear a necktie.", r"\b(neck)?tie\b"),
    Fact("Blurry", "The picture is blurry.", r"\b(blur\w*|out of focus)\b"),
)

SUBJECTIVE = ("Attractive", "Chubby", "Young")  # an opinion about a person, not something to be seen for sure

_FACIAL_HAIR = ("Mustache", "Goatee", "Sideburns", "5_o_Clock_Shadow")
_HEAD_HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bangs", "Straight_Hair", "Wavy_Hair")


def _facial_hair_of_a_woman(a: Attributes) -> bool:
    return not a["Male"] and (not a["No_Beard"] or any(a[name] for name in _FACIAL_HAIR))


def _hair_on_a_bald_head(a: Attributes) -> bool:
    return a["Bald"] and any(a[name] for name in _HEAD_HAIR)


# Two hair colours at once are no contradiction (dyed, or going grey), nor is stubble, a mustache or sideburns
# without a beard. Which side of a contradiction is dropped:
#   the label with more independent evidence stays: sex (it shows in many other labels), a bald head;
#   a goatee is a small beard, so its own label is believed and the general one is left unsaid;
#   where neither side is better (straight and wavy), both are dropped.
CONTRADICTIONS = (
    Contradiction("facial_hair_not_male", _facial_hair_of_a_woman, ("not No_Beard", *_FACIAL_HAIR)),
    Contradiction("bald_with_hair", _hair_on_a_bald_head, _HEAD_HAIR),
    Contradiction("goatee_no_beard", all_of("Goatee", "No_Beard"), ("not No_Beard",)),
    Contradiction("straight_and_wavy", all_of("Straight_Hair", "Wavy_Hair"), ("Straight_Hair", "Wavy_Hair")),
)

CELEBA = DataSet("celeba", FACTS, CONTRADICTIONS, SUBJECTIVE, people=True)
