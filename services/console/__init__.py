"""The dead-letter store, and what operators do with dead letters."""
