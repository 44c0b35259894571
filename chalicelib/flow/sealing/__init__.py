"""Sealing: commit entries to the tenant's Merkle log, reconcile it, and prove its entries.

May import the modules at the root of ``flow``.
"""
