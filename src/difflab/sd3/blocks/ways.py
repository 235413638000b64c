"""The four ways to take a block away, and what the proof says of a ranking; see `difflab.sd3.blocks.ablation`."""

MEAN, BYPASS, TEXT, PATCHES = WAYS = ("mean", "bypass", "text", "patches")
WAY_NAMES = {MEAN: "mean ablation", BYPASS: "bypass", TEXT: "text off", PATCHES: "patches apart"}
PREDICTS, MISLEADS, OPEN = "predicts", "misleads", "open"
