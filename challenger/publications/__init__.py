"""What others publish off chain: programs and traces, fetched within bounds."""
