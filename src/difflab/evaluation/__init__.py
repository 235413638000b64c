"""How good the generated images are: Frechet and kernel distances, class accuracy, tables, pictures, the
report."""
