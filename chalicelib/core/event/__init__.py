"""The canonical event, the classes of its data, and the numbering plan of telephone numbers.

May import the modules at the root of ``core``, nothing else of it.
"""
