"""Jobs: work that takes longer than a request, such as bundles, bulk replays and rotations of master keys.

May import every package of ``flow`` except ``hooks`` and ``declare``.
"""
