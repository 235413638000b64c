"""Stages that train the miniature's models, or point to the released ones."""
