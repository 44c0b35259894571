"""Questions: read stored records, ask for decisions, and report who is accountable.

May import ``flow.sealing`` and the modules at the root of ``flow``.
"""
