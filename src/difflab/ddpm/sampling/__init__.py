"""From noise to images: samplers, and what is looked at on the way."""
