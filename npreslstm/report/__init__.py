"""What people look at: text on a terminal, pictures, pages."""
