"""The command line, `difflab`: one module for each command."""
