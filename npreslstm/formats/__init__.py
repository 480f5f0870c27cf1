"""Other projects' weight files, read and written."""
