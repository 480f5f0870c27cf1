"""The model elsewhere: the integer specification, C99 sources, golden vectors."""
