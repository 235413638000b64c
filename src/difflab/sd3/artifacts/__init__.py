"""Reading cached prompt embeddings, and which caches and models belong together."""
