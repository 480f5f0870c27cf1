"""The model elsewhere: C99 sources, golden vectors."""
