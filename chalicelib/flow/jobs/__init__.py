"""Jobs: work that takes longer than a request, such as bundles and bulk replays.

May import every package of ``flow`` except ``hooks`` and ``declare``.
"""
