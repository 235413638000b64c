"""The training of denoisers: what they train on, how errors count, the loop, the held-out loss."""
