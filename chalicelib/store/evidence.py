"""The evidence bucket: the published parts of the logs. An object is written once; only a log's ``checkpoint`` is replaced.

| key | content |
|---|---|
| ``logs/{tenant}/{log}/batches/{first}-{sha256}`` | the entries of one seal, each after its length (16 bits); compact: gzip |
| ``logs/{tenant}/{log}/tile/…`` | full tiles of tlog-tiles; its entry bundles, too, unless the cell's evidence is compact |
| ``logs/{tenant}/{log}/checkpoints/{size}`` | each signed checkpoint |
| ``logs/{tenant}/{log}/checkpoint`` | the newest |
| ``logs/{tenant}/{log}/cosignatures/{size}/{key id}`` | a witness' cosignature of a checkpoint, one line |
| ``rules/{sha256}.json`` | the law that decisions were made by |
| ``configs/{tenant}/{sha256}.json`` | the part of a tenant's configuration that decisions read |

Every object is one single ``PutObject`` with ``If-None-Match``, which the bucket's policy demands; Object Lock keeps it.
"""

from __future__ import annotations

import base64
import gzip
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from hashlib import md5
from typing import Any

from ..core.errors import AuditBroken, AuditUnavailable, WrongRegion
from .items import FAILED_CALLS, cause_of

CACHE_BYTES = 32 * 1024 * 1024
GZIP = "gzip"
LEVEL = 6
OBJECT_BYTES = 1_100_000_000
"""A batch of the longest entries has less."""
# ConditionalRequestConflict: another write of the same key was under way. Source:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (read 2026-11-22).
_RACED = "ConditionalRequestConflict"
_THERE = frozenset({"PreconditionFailed", "412"})
_GONE = frozenset({"NoSuchKey", "404", "NotFound"})


def _inflated(data: bytes) -> bytes:
    """Inflate an object of the bucket.

    Raises:
        AuditBroken: it is not one gzip stream, or of more than an object can hold.
    """
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = bytes(inflater.decompress(data, OBJECT_BYTES))
    except zlib.error as error:
        raise AuditBroken("an object of the evidence bucket cannot be inflated") from error
    if not inflater.eof or inflater.unused_data:
        raise AuditBroken("an object of the evidence bucket is cut short, or too long")
    return found


def prefix(tenant: str, log: str) -> str:
    """Return the prefix of a log's keys."""
    return f"logs/{tenant}/{log}/"


class EvidenceBucket:
    """Read and write objects of the evidence bucket.

    Args:
        client: makes the S3 client of the home region when first used.
        bucket: the bucket's name.
    """

    def __init__(self, client: Callable[[], Any], bucket: str, region: str) -> None:
        self._client = client
        self._bucket = bucket
        self._region = region
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._known: set[str] = set()
        self._lock = threading.Lock()

    @property
    def _s3(self) -> Any:
        client = self._client()
        if client.meta.region_name != self._region:
            raise WrongRegion("the evidence bucket has a client of the home region only")
        return client

    def put(
        self, key: str, data: bytes, content_type: str = "application/octet-stream", *, compressed: bool = False
    ) -> bool:
        """Write an object once. Return False if it is there already, from an earlier run or another sealer.

        Args:
            compressed: store it with gzip and say so in ``Content-Encoding``. Readers here get the data as they were.

        Raises:
            AuditBroken: another object is there: it stays as it is, and nothing may rest on it.
            AuditUnavailable: it is not known to be written; the same call may succeed later.
        """
        if key in self._known:
            return False
        try:
            if compressed:  # stored without a time, so that the same data give the same object
                self._write(
                    key, gzip.compress(data, LEVEL, mtime=0), content_type, IfNoneMatch="*", ContentEncoding=GZIP
                )
            else:
                self._write(key, data, content_type, IfNoneMatch="*")
        except FAILED_CALLS as error:
            if cause_of(error) not in _THERE:
                raise AuditUnavailable(f"the evidence bucket did not take an object ({cause_of(error)})") from error
            if self.get(key) != data:
                raise AuditBroken("another object stands in the evidence bucket where this one belongs") from error
            self._note(key)
            return False
        self._note(key)
        return True

    def _write(self, key: str, data: bytes, content_type: str, **conditions: str) -> None:
        # A bucket with a default lock takes nothing without a checksum, and not every make of bucket knows a newer one.
        checksum = base64.b64encode(md5(data, usedforsecurity=False).digest()).decode()
        self._s3.put_object(
            Bucket=self._bucket, Key=key, Body=data, ContentType=content_type, ContentMD5=checksum, **conditions
        )

    def _note(self, key: str) -> None:
        with self._lock:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known.add(key)

    def replace(self, key: str, data: bytes, content_type: str, version: str | None) -> bool:
        """Replace an object; the bucket allows it for a log's ``checkpoint`` only.

        Args:
            version: the version of the object to replace, from ``get_version``; None if there was none.

        Returns:
            False if the stored version is another one by now: it stays.

        Raises:
            AuditUnavailable: it is not known to be written; the same call may succeed later.
        """
        only = {"IfMatch": version} if version is not None else {"IfNoneMatch": "*"}
        try:
            self._write(key, data, content_type, **only)
        except FAILED_CALLS as error:
            if cause_of(error) in {*_THERE, *_GONE, _RACED}:
                return False
            raise AuditUnavailable(f"the evidence bucket did not take a checkpoint ({cause_of(error)})") from error
        return True

    def get(self, key: str) -> bytes | None:
        """Read an object; None if there is none.

        Raises:
            AuditUnavailable: the bucket does not answer.
        """
        return self.get_version(key)[0]

    def get_version(self, key: str) -> tuple[bytes | None, str | None]:
        """Read an object and the name of its version, for ``replace``; None and None if there is none. Raises as ``get``."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            data = bytes(answer["Body"].read())
            encodings = str(answer.get("ContentEncoding") or "").replace(" ", "").split(",")
            return _inflated(data) if GZIP in encodings else data, str(answer["ETag"])
        except FAILED_CALLS as error:
            if cause_of(error) in _GONE:
                return None, None
            raise AuditUnavailable(f"the evidence bucket did not give an object ({cause_of(error)})") from error

    def get_fixed(self, key: str) -> bytes | None:
        """Read an object that never changes, from this process's memory where it was read before. Raises as ``get``."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        data = self.get(key)
        if data is not None and len(data) <= CACHE_BYTES // 4:
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = data
                    self._kept_bytes += len(data)
                while self._kept_bytes > CACHE_BYTES:
                    self._kept_bytes -= len(self._kept.popitem(last=False)[1])
        return data
