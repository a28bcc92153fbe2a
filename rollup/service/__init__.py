"""What every service stands on: logs without secrets, loops that never die, health, metrics, and a web app with bounds.

``logs`` one structured line per event, ``loop`` a step that is repeated, ``metrics`` Prometheus, ``health`` named checks,
``problem`` errors as problem details, ``limits`` what a caller may cost, ``web`` the app, ``connection`` and ``server`` its
process side.
"""
