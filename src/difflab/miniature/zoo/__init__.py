"""The small models of the miniature, one module for each role that the pipeline trains."""
