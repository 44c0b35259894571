"""Offline verification of an evidence bundle, in four stages.

May import every package of ``core`` except ``explain``.
"""
