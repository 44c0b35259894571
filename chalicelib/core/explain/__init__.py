"""Reports for people: explained decisions, preflight checks, what-if runs, profiles and accountability.

May import every other package of ``core``.
"""
