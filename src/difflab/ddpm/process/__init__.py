"""Process analysis: what appears first, where words act, what the networks are made of."""
