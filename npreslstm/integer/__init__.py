"""The integer model and its fixed-point arithmetic, in NumPy: what the C port equals in every bit."""
