"""The facts of the 40 CelebA attributes, in the words of this project.

Sex is always told, as "a man" or "a woman". A beard is told when `No_Beard` is false, and nothing when it is
true: a face without a beard needs no word for it.
"""

from difflab.images.facts.data_set import Attributes, Contradiction, DataSet, Fact, Part, all_of

# What may stand between a colour and the hair that has it: "black, very long and wavy hair".
_ADJECTIVES = (
    r"(?:(?:very|long|short|medium|thick|thin|wavy|curly|straight|shiny|dark|light|black|brown|blonde?|gr[ae]y|messy|"
    r"smooth|fine|silky|layered|parted|loose|neat|\w+-(?:length|cropped|cut)|cropped|slicked-back|and|or|to)[ ,]+)*"
)
_SET = (
    r"(?:(?:that|which) )?(?:is|are|was|were|looks?|appears?|(?:is |has )?(?:turn(?:ing|ed)|gone|going))(?:n't)?"
    r"(?: (?:\w+ly|very|a little|a bit|quite|rather|long|short|thick|and|as))*"
)
_TONE = r"(?:(?:a|dark|light|medium|rich|deep|warm|soft|jet|pale|shade|colou?r|tone|mix|of)(?:er)?[- ])*"
_OTHER_COLOURS = r"(?:\w+ish|black|brown|blonde?|gr[ae]y|red|chestnut|auburn|golden)"
# A blurred background is no blurred picture; what `re` looks back at has one length.
_SHARP_BEFORE = "".join(
    f"(?<!{place} {said} )"
    for place in ("background", "backdrop")
    for said in ("is", "appears", "looks", "that is", "is slightly", "is softly", "is heavily", "is a bit")
)
_LOOKING = r"(?:,? \w+)?"  # what else is said between the size of a thing and its name: "a big red nose"
_SHAPED = r"(?:with|has|and|her|his|a|blunt|short|long|thick|side)"


def _hair(colours: str) -> str:
    """Hair of some colours: "black hair", "black-haired", "hair is long and black", "hair: dark brown".

    Dark hair is black where no other colour follows: "dark brown hair" is brown.
    """
    colours = colours.replace("dark", rf"dark(?!(?:er)?[ ,-]+(?:\w+[ ,-]+)?{_OTHER_COLOURS}\b)")
    hair = r"(?:hair\b|locks\b|curls\b|strands\b|ponytail\b|braids?\b|bob\b)"
    return (
        rf"\b(?:{colours})(?:[- ]colou?red)?[ ,]+{_ADJECTIVES}{hair}|\b(?:{colours})[- ]haired\b"
        rf"|\bhair(?: colou?r)?[:,]? (?:as |{_SET} (?:not )?(?:\w+,? but )?)?{_TONE}(?:{colours})\b"
        rf"(?! (?:eyes?|dress|shirt|suit|jacket|hat|coat))"
    )


FACTS = (
    Fact("Male", "This is a man.", r"\b(man|male|guy|he|his|boy|gentleman)\b"),
    Fact("not Male", "This is a woman.", r"\b(woman|female|she|her|girl|lady)\b"),
    Fact("Young", "They look young.", r"\b(young|youthful|girl|boy)\b"),
    Fact(
        "Attractive",
        "Many would call the face attractive.",
        r"\b(attractive|beautiful|handsome|pretty(?! (?:old|much|big|large|long|short|young|bald|dark|tall|thin)))\b",
    ),
    Fact("Chubby", "The face is full and round.", r"\b(chubby|full face|round face|full and round|plump)\b(?! lips)"),
    Fact(
        "Oval_Face",
        "The outline of the face is oval.",
        rf"\boval[- ](shaped )?face|\b(face|outline of the face) {_SET} oval\b",
    ),
    Fact(
        "Pale_Skin",
        "The skin is pale.",
        rf"\bpale[- ](skin|skinned|complexion|face|man|woman|person)\b|\bskin {_SET} (pale|fair)\b"
        r"|\bfair[- ](skin|skinned|complexion)\b",
    ),
    Fact(
        "Rosy_Cheeks",
        "The cheeks are rosy.",
        rf"\b(rosy|flushed|blush\w*|pink)[- ]cheek(s|ed)\b|\bcheeks {_SET} (rosy|flushed|pink)\b|\bblush(es|ing|er)?\b",
    ),
    Fact("High_Cheekbones", "The cheekbones sit high.", rf"(?<!low )\bcheekbones?\b(?! {_SET} (low|flat))"),
    Fact("Double_Chin", "A double chin shows.", r"\bdouble chin\b"),
    Fact(
        "Big_Nose",
        "The nose is large.",
        rf"\b(big|large|prominent|broad|wide){_LOOKING} nose\b|\bnose {_SET} (big|large|prominent|broad|wide)\b",
    ),
    Fact(
        "Pointy_Nose",
        "The nose comes to a point.",
        rf"\b(pointy|pointed|sharp) nose\b|\bnose (comes to a point|{_SET} (pointy|pointed|sharp))\b",
    ),
    Fact(
        "Big_Lips",
        "The lips are full.",
        rf"\b(big|full|large|plump)(er)?{_LOOKING} lips\b|\blips {_SET} (big|full|large|plump)\b",
    ),
    Fact("Narrow_Eyes", "The eyes are narrow.", rf"\bnarrow(ed)?[- ]eye[ds]\b|\beyes {_SET} narrow(ed)?\b|\bsquint\w*"),
    Fact(
        "Bags_Under_Eyes",
        "There are bags under the eyes.",
        r"\bbags (under|below|beneath)\b|\beye bags\b|\bbaggy eyes\b|\bunder-eye\b",
    ),
    Fact(
        "Arched_Eyebrows",
        "The eyebrows are arched.",
        rf"\barch(ed|ing) (eye)?brows?\b|\bbrows {_SET} arch(ed|ing)\b|\beyebrows {_SET} arch(ed|ing)\b",
    ),
    Fact(
        "Bushy_Eyebrows",
        "The eyebrows are bushy.",
        rf"\b(bushy|thick|dense|full) (eye)?brows\b|\b(eye)?brows {_SET} (bushy|thick|dense)\b",
    ),
    Fact("Smiling", "There is a smile on the face.", r"\b(smil(es?|ed|ing|ingly)|grin\w*)\b"),
    Fact(
        "Mouth_Slightly_Open",
        "The mouth is slightly open.",
        rf"\b(mouth|lips) ({_SET} )?((slightly|partly|partially|a little|half|wide)[- ])*(open|parted|ajar)\b"
        r"|\b(open|parted) (mouth|lips)\b|\bopen-mouthed\b",
    ),
    Fact("Black_Hair", "The hair is black.", _hair("black|dark|jet[- ]black|raven")),
    Fact("Blond_Hair", "The hair is blond.", rf"{_hair('blonde?|golden|fair')}|\bblonde?\b"),
    Fact("Brown_Hair", "The hair is brown.", rf"{_hair('brown(?:ish)?|brunette|chestnut|auburn')}|\bbrunette\b"),
    Fact("Gray_Hair", "The hair is gray.", rf"{_hair('gr[ae]y(?:ish|ing)?|silvery?|white|salt[- ]and[- ]pepper')}"),
    Fact("Bald", "The head is bald.", r"\bbald(ing|ness)?\b(?! eagle)"),
    Fact(
        "Bangs",
        "Bangs fall over the forehead.",
        rf"\bbangs\b|\b{_SHAPED} fringe\b(?! \w*(jacket|dress|top|scarf|vest|skirt))",
    ),
    Fact(
        "Receding_Hairline",
        "The hairline has moved back.",
        r"\breced(es?|ed|ing)\b|\bhairline (that )?(has |is )?(moved|moving|thinning)\b|\bhigh hairline\b",
    ),
    Fact("Straight_Hair", "The hair is straight.", _hair("straight")),
    Fact(
        "Wavy_Hair",
        "The hair falls in waves.",
        _hair("wavy|curly|waved")
        + r"|\bhair (falls|falling|set|flows?) in \w*\s?waves\b|\b(soft|loose|beach|long) waves\b|\bcurls\b",
    ),
    Fact("not No_Beard", "A beard covers the chin.", r"\bbeard(ed|s)?\b"),
    Fact(
        "5_o_Clock_Shadow",
        "Stubble darkens the jaw.",
        r"\bstubbl\w*|\bunshaven\b|\bo'? ?clock shadow\b|\bshadow of a beard\b",
    ),
    Fact("Goatee", "A goatee grows on the chin.", r"\bgoatee\b"),
    Fact("Mustache", "A mustache grows above the lip.", r"\bmo?ustach\w*\b"),
    Fact("Sideburns", "Sideburns run down the cheeks.", r"\bsideburns?\b"),
    Fact(
        "Heavy_Makeup",
        "The makeup is heavy.",
        r"(?<!light )(?<!minimal )(?<!natural )(?<!natural-looking )(?<!little )(?<!subtle )(?<!soft )\bmake-?up\b"
        rf"(?! {_SET} (?:light|minimal|natural|subtle|soft)\b)",
    ),
    Fact("Wearing_Lipstick", "There is lipstick on the lips.", r"\blipstick\b"),
    Fact(
        "Eyeglasses",
        "They wear glasses.",
        r"(?<!wine[ -])(?<!champagne[ -])(?<!drinking[ -])(?<!beer[ -])(?<!opera )(?<!magnifying )"
        r"\b(eye|sun)?glasses\b(?! of\b)|\b(be)?spectacle[ds]\b",
    ),
    Fact("Wearing_Earrings", "They wear earrings.", r"\bear-?rings?\b"),
    Fact("Wearing_Hat", "They wear a hat.", r"\b(hats?|caps?|beanies?|fedoras?|berets?)\b(?!-)"),
    Fact("Wearing_Necklace", "They wear a necklace.", r"\bnecklaces?\b"),
    Fact(
        "Wearing_Necktie",
        "They wear a necktie.",
        r"(?<!bow[ -])(?<!hair[ -])\b(neck)?ties?\b(?!-dye)(?! (a|the|her|his|their|it|up|back)\b)",
    ),
    Fact(
        "Blurry",
        "The picture is blurry.",
        rf"{_SHARP_BEFORE}\b(blur(ry|red)?|out[- ]of[- ]focus)\b(?![, ]+(?:\w+ )?(background|backdrop))",
    ),
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

PARTS = (
    Part("hair", r"\bhair(?:ed)?\b", ("hair",)),
    Part("eyes", r"\beyes?\b", ("l_eye", "r_eye")),
    Part("eyebrows", r"\b(?:eye)?brows?\b", ("l_brow", "r_brow")),
    Part("nose", r"\bnose\b", ("nose",)),
    Part("mouth", r"\b(?:mouth|lips?|lipstick|smil(?:e|es|ing))\b", ("mouth", "u_lip", "l_lip")),
    Part("eyeglasses", r"\b(?:eye)?glasses\b", ("eye_g",)),
    Part("hat", r"\b(?:hat|cap|beanie|fedora|beret)\b", ("hat",)),
    Part("earrings", r"\bear-?rings?\b", ("ear_r",)),
    Part("necklace", r"\bnecklaces?\b", ("neck_l",)),
)
CELEBA = DataSet("celeba", FACTS, CONTRADICTIONS, SUBJECTIVE, parts=PARTS, people=True)
