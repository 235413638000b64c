"""Training loops, their state, and LoRA."""
