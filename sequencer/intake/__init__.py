"""Claims on their way in: admission, checks against L1, the queue that writes them."""
