"""The sequencer: collects signed claims, orders them, and posts them to L1 in batches."""
