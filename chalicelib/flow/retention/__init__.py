"""Retention: expiry, erasure, legal holds and the hourly sweep.

May import ``flow.ask``, ``flow.sealing`` and the modules at the root of ``flow``.
"""
