"""Training: the loop, its state, and what it says about itself."""
