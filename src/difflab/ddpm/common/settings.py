"""The settings of the DDPM series, from one image to latents and prompts: their names and their data."""

SETTING_NAMES = {
    "single_image_32": "one image, 32 px",
    "single_image_64": "one image, 64 px",
    "single_class": "one kind of image",
    "class_conditional": "by class",
    "latent": "by class, in latents",
    "text": "by prompt",
}
SETTINGS = tuple(SETTING_NAMES)
DATASETS = dict(zip(SETTINGS, ("scenes", "scenes", "scenes", "cifar10", "cifar10", "mnist"), strict=True))
SINGLE = SETTINGS[:2]
BY_CLASS = ("class_conditional", "latent")
CONDITIONAL = (*BY_CLASS, "text")
