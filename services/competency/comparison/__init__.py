"""What ESR confirmed, against what ESR's next full file shows."""
