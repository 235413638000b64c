"""Captions of the SD3 study: BLIP-2, and its captions rewritten with the facts by a chat model."""
