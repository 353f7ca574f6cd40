"""Messages, where they go, and the broker behind one protocol."""
