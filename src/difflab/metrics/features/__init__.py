"""Images to feature vectors: the networks behind FID and KID."""
