"""JSON as it is written several times an event, by encoders that are made once.

``json.dumps`` makes an encoder for each call that asks for anything but its defaults. None of these leaves white space or looks
for circles, which what was just built or read from JSON cannot hold. ``finite`` ones refuse numbers that JSON does not have.
They raise as ``json.dumps`` does: ``TypeError`` and ``ValueError`` for what has no form, ``RecursionError`` for what is too deep.
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
