"""The use cases: what the webhooks, the queues, the clock and the API have the cell do.

A package holds one use case with its parts. The modules at the root are shared by several of them. Each lambda loads only
its own use case, so nothing is imported here. May import ``runtime``, ``store``, ``destinations``, ``channels`` and ``core``.
"""
