"""Groups of the small models of the miniature."""
