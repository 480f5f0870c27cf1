"""What makes one network: data sets, features, augmentation, recipe, optimisers, trainer, metrics."""
