"""What the stages hand to each other: shards and tables keyed by sample id, never folders of thousands of files."""
