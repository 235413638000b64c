"""Language models that answer: sampling keyed by sample id, chat, reading of answers."""
