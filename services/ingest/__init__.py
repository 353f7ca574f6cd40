"""The door: files, their validity, order and accounting; one message per record."""
