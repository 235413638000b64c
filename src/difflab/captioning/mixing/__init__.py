"""Originals and synthetic pictures split together, without leaks."""
