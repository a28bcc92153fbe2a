"""False executions and who claims them, for demos and development networks."""
