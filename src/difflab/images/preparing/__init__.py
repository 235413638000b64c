"""From an archive to checked samples: what every preparing stage does."""
