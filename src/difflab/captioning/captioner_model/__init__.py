"""The captioner: its network and its folder."""
