"""The SD3 LoRA study: captions, caches, fine-tuning with logit-normal timesteps, generation, scoring."""
