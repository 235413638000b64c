"""Captions of the SD3 study: tables of them, and how true they are."""
