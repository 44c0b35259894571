"""JSON encoders that are built once, for texts that are written several times an event.

``json.dumps`` builds an encoder for each call with other than its defaults. None of these leaves white space, and none looks
for circles: a value that was just built or read from JSON cannot hold one. ``finite`` ones refuse numbers that JSON lacks.
They raise as ``json.dumps`` does: ``TypeError`` and ``ValueError`` for unknown values, ``RecursionError`` for deep ones.
"""

from __future__ import annotations

from functools import partial
from json import JSONEncoder

_encoder = partial(JSONEncoder, separators=(",", ":"), check_circular=False)

escaped = _encoder().encode
"""All beyond ASCII is escaped."""
plain = _encoder(ensure_ascii=False).encode
"""Text stands as it is."""
plain_finite = _encoder(ensure_ascii=False, allow_nan=False).encode
ordered = _encoder(ensure_ascii=False, sort_keys=True).encode
"""Text stands as it is, names are sorted by code point."""
ordered_finite = _encoder(ensure_ascii=False, sort_keys=True, allow_nan=False).encode
