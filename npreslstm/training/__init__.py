"""Data sets, augmentation, optimisers, the trainer, metrics and the protocol."""
