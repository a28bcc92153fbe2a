"""Services and the chain under them fail at every moment of claims, disputes and requests: ``make crash``."""
