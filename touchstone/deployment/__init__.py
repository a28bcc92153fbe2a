"""Deployments: parameters, what they guarantee, what is dangerous, measured gas."""
