"""The training of the captioner."""
