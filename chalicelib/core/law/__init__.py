"""The law: files compiled into rules, the facts that rules read, and the decision that follows.

May import ``core.event`` and the root of ``core``.
"""
