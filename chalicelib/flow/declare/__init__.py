"""Declarations: what a tenant configures, connects, consents to and switches off.

May import ``flow.ask``, ``flow.retention`` and the modules at the root of ``flow``.
"""
