"""The mathematics: one file a layer, forward and backward side by side; NumPy only."""
