"""Language models that answer: batches, sampling keyed by sample id, chat."""
