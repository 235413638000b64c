"""Rectified flow: the path, the densities of sigma, the loop."""
