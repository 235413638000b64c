"""Reading the caches that the SD3 study trains and samples on: latents and prompt embeddings, by sample id."""
