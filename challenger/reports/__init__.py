"""What an operator is told: alerts, metrics, verdicts in words."""
