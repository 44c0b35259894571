"""Routing: plan each queued event and store the decision.

May import the modules at the root of ``flow``.
"""
