"""Distances between two sets of features: FID and KID."""
