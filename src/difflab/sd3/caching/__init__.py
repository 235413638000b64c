"""Writing the caches: images through the autoencoder, captions through the text encoders."""
