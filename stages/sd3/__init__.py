"""Stages of the SD3 LoRA study."""
