"""The captioner: its model, its folder, its training."""
