"""How near captions come to the references of their images."""
