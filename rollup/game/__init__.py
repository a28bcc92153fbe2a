"""The dispute game, pure: nodes, clocks, bonds and a verdict; it never sees the machine, a key or a chain.

``position`` and ``question`` where a game stands, ``clock`` who pays for time, ``stopping`` how long a challenge period
lasts, ``ledger`` who pays money, ``moves`` what can be said, ``dispute`` what is known of one claim, ``game``
the rules, ``effects`` (of moves about the trace), ``elements`` (inside one element) and ``endings`` what moves then do.
"""
