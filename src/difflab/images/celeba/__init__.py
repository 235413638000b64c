"""CelebA-HQ and CelebA: attribute tables, split, face crops."""
