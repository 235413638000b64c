"""Synthetic pictures of titles, and sweeps over how they are made."""
