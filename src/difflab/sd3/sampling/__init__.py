"""From noise and prompt embeddings to images."""
