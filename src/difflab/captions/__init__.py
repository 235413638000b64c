"""Captions: their table, the miniature's sentences, facts, scoring, and the captioning models."""
