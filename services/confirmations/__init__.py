"""What ESR said of each thing sent, and what it has not said yet."""
