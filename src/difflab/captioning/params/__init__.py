"""Groups of the captioning study."""
