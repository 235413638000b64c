"""Rectified flow: the path, its targets, and the densities of sigma in training."""
