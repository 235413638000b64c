"""Groups of the DDPM study."""
