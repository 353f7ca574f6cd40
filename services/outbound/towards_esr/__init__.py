"""What leaves for ESR: which record is next for a completion, the files it goes into, and the operator's desk."""
