"""The archives of the miniature, in the formats of the official ones."""
