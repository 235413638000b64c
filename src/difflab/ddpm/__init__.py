"""The DDPM study: one image to latents and prompts, denoising, process analysis, memorisation, cold diffusion."""
