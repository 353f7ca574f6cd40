"""Learning management systems behind one port, and a driver for each."""
