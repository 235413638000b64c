"""Diffusion networks of pixels and latents behind one contract, their noise schedules and conditions."""
