"""Models of every study, by role: where they come from, how they are loaded, and the adapters on them."""
