"""Compliance: who needs which competence, who holds it, and until when; figures with the people behind them."""
