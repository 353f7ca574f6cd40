"""The built-in profiles of completion files."""
