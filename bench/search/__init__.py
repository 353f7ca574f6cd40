"""Lists and searches of a trust with a million dead letters and five million accounted lines."""
