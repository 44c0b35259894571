"""The plan of an event: one decision for each matching route, and how long the event is kept.

May import every package of ``core`` except ``verify`` and ``explain``.
"""
