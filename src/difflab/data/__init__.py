"""Images and their tables: the miniature, official archives, attribute tables, splits, crops, weights."""
