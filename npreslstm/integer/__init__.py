"""Arithmetic in integers, which C repeats in every bit."""
