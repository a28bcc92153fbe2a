"""What L1 said about claims and games, followed through reorganisations."""
