"""Groups of the SD3 study."""
