"""Stages of the captioning study."""
