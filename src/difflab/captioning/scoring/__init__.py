"""Scores of captions and of synthetic pictures."""
