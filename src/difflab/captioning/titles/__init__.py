"""Variations of titles by a chat model, read strictly."""
