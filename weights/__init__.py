"""Bundled weights; `npreslstm.assets.weights_path` finds them, installed or in a checkout."""
