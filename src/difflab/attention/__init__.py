"""Looking inside a diffusion network: what its attention layers compute, drawn and scored."""
