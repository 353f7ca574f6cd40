"""The command line and the embedded mode: the only place that wires several services together."""
