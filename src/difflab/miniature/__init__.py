"""The miniature: a digit over a photograph, its words, its archives, and the small models trained on it."""
