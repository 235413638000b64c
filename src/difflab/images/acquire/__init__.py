"""Getting official archives: from the data root, by download, or built as the miniature."""
