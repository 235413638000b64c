"""Stages of the DDPM study."""
