"""The same job written the usual way."""
