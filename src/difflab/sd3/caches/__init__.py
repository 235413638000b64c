"""The caches that fine-tuning reads: latents and prompt embeddings, by sample id and content."""
