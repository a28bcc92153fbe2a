"""The dispute game, pure: nodes, clocks, bonds and a verdict; it never sees the machine, a key or a chain.

``position`` where a game stands, ``clock`` who pays for time, ``ledger`` who pays money, ``moves`` what can be said,
``game`` the rules.
"""
