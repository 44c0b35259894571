"""The promise under faults: a whole cell on a simulated clock, driven by random worlds and random faults, and judged.

``python -m faults`` (``make soak``) runs rounds until it is told to stop; ``docs/soak.md`` says what is promised and what
is tried. Not packaged.
"""
