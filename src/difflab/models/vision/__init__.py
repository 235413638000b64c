"""The vision encoder: a ViT that names classes of a picture and scores images."""
