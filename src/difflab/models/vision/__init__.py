"""The vision encoder: a small ViT that names what a picture of the miniature shows, and scores images."""
