"""The image sets: their formats, splits, classes and captions, and their images as equal squares."""
