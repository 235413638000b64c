"""What attributes say of a picture: facts, their contradictions, and the sentences of CelebA."""
