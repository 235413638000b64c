"""What a data set knows of its pictures, and the facts of CelebA."""
