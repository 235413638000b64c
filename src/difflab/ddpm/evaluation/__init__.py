"""Scores and figures of the DDPM study."""
