"""Scores of generated images: distances, class accuracy, curves."""
