"""Stages of the data sets."""
