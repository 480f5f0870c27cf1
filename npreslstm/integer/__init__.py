"""The integer frontend and network, in NumPy: what the C port equals in every bit."""
