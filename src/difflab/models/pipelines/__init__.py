"""Text-to-image pipelines of diffusers: loading, schedulers, pictures for prompts."""
