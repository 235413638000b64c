"""What the DDPM study trains on, in memory."""
