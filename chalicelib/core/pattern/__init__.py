"""Event patterns and their index; transforms and redaction of the events that a route selects.

May import ``core.law``, ``core.event`` and the root of ``core``.
"""
