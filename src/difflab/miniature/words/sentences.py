"""Five sentences about a digit over a photograph, each as a person might put it, all true of the picture."""

from difflab.miniature.pictures.blend import Composite

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PHOTOS = {
    "Astronaut": "an astronaut",
    "Bricks": "a brick wall",
    "Cat": "a cat",
    "Coffee": "a cup of coffee",
    "Coins": "old coins",
    "Flower": "a flower",
    "Galaxies": "galaxies",
    "Motorcycle": "a motorcycle",
    "Retina": "a retina",
    "Rocket": "a rocket",
    "Temple": "a temple",
    "Tissue": "tissue under a microscope",
}
_TINTS = {"Red_Digit": "red", "Yellow_Digit": "yellow", "Green_Digit": "green", "Blue_Digit": "blue"}
_SHAPES = {"Large": "large", "Small": "small", "Thick": "thick", "Thin": "thin"}
_SLANTS = {"Slanted_Left": " leaning left", "Slanted_Right": " leaning right"}
_GROUNDS = {
    "Bright_Background": "bright",
    "Dark_Background": "dark",
    "Colourful": "colourful",
    "Grey": "grey",
}


def sentences(picture: Composite) -> tuple[str, str, str, str, str]:
    """The captions of a picture that shows a digit over a photograph."""
    true = [name for name, value in picture.attributes.items() if value]
    word, photo = WORDS[picture.digit], PHOTOS[picture.photo]
    colour = next((_TINTS[name] for name in true if name in _TINTS), "")
    if picture.attributes["Inverted"]:
        colour = f"dark {colour}" if colour else "black"
    colour = colour or "white"
    shape = "".join(f"{word} " for name, word in _SHAPES.items() if name in true)
    slant = "".join(_SLANTS[name] for name in true if name in _SLANTS)
    ground = "".join(f"{_GROUNDS[name]} " for name in true if name in _GROUNDS)
    article = "an" if word == "eight" else "a"
    return (
        f"A {colour} {word} written over a photo of {photo}.",
        f"The number {word} in front of {photo}.",
        f"A {shape}handwritten {word}{slant} on a {ground}picture of {photo}.",
        f"Somebody has painted {article} {word} in {colour} across a picture of {photo}.",
        f"A {ground}photograph of {photo} with the {shape}digit {picture.digit} in the middle.",
    )
