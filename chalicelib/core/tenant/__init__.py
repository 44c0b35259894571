"""A tenant's declarations: records, configuration, switches, consents, legal holds and roles.

May import ``core.pattern``, ``core.law``, ``core.event`` and the root of ``core``.
"""
