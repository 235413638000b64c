"""Measures: distances between sets of images, restoration, texts, and the intervals around them."""
