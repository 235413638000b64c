"""The training of denoisers: corruption, weighting, loop, held-out loss."""
