"""The audit log: entries and their bytes, the Merkle tree, signed notes, tiles and proofs.

May import ``core.delivery``, ``core.event`` and the root of ``core``.
"""
