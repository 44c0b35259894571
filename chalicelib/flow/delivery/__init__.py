"""Delivery: attempts, admission to a destination, lanes and pull links.

May import the modules at the root of ``flow``.
"""
