"""What the stores of the cell's own S3 buckets share: a client of the home region, and one way to make a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.errors import Misconfigured, Unavailable, WrongRegion
from .items import FAILED_CALLS, cause_of


class Bucket:
    """Make calls about the objects of one bucket.

    Args:
        client: makes the S3 client of the home region when first used.
        bucket: the bucket's name.
        what: names the bucket in errors, and its setting.
    """

    def __init__(self, client: Callable[[], Any], bucket: str, region: str, what: str) -> None:
        self._client = client
        self._bucket = bucket
        self._region = region
        self._what = what

    @property
    def _s3(self) -> Any:
        if not self._bucket:
            raise Misconfigured(
                f"set WAYBILL_{self._what.upper()}_BUCKET to the name of the cell's {self._what} bucket"
            )
        client = self._client()
        if client.meta.region_name != self._region:
            raise WrongRegion(f"the {self._what} bucket has a client of the home region only")
        return client

    def _call(self, operation: str, **arguments: Any) -> Any:
        """Make one call.

        Raises:
            Unavailable: the bucket refuses it or does not answer; the same call may succeed later.
        """
        try:
            return getattr(self._s3, operation)(Bucket=self._bucket, **arguments)
        except FAILED_CALLS as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(f"the {self._what} bucket did not answer a call ({cause_of(error)}); try again")

    def put(self, key: str, data: bytes) -> None:
        """Write an object. Raises as ``get``."""
        self._call("put_object", Key=key, Body=data, ContentType="application/octet-stream")

    def get(self, key: str) -> bytes:
        """Read an object.

        Raises:
            Unavailable: it is not there, or the bucket does not answer.
        """
        try:
            return bytes(self._call("get_object", Key=key)["Body"].read())
        except FAILED_CALLS as error:
            raise self._unavailable(error) from error
