"""Readers of the upstream formats of image sets, one module each."""
