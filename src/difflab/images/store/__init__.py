"""Reading prepared images: the store by sample id, and pixels in the range of the networks."""
