"""Webhooks: receive, verify and queue them, or handle them at once when the conversation is off the record.

May import every package of ``flow`` except ``jobs`` and ``declare``.
"""
