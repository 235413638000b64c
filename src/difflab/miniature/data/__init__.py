"""The pictures of the miniature, drawn from images that ship inside ordinary dependencies."""
