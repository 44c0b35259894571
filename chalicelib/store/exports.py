"""The exports bucket: results of jobs, and the parts that they are made of, for a day. Nothing in it is evidence.

| key | content |
|---|---|
| ``parts/{job}/…`` | parts that one piece of a job leaves for later pieces |
| ``bundles/{job}.tar`` | an evidence bundle |

A key written twice gets the same bytes. The bucket's lifecycle removes everything, unfinished uploads too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from .buckets import Bucket
from .items import FAILED_CALLS, cause_of

LIFE = timedelta(days=1)
"""How long an object is there at least, as the bucket's lifecycle counts."""
ENDS = LIFE + timedelta(days=1)
"""How long an object is there at most: a lifecycle counts whole days from midnight."""
_GONE = frozenset({"NoSuchKey", "404", "NotFound"})

Link = Callable[[str, str, int], str]
"""Makes an address of an object out of its key, the name to save it under, and the seconds that it is to live."""


class Exports(Bucket):
    """Read and write objects of the exports bucket.

    Args:
        client: makes the S3 client of the home region when first used.
        bucket: the bucket's name.
        link: how objects are reached without a key where that is not by S3: the local cell has a door of its own.
        public_url: the address of a proxy before the bucket, for links; empty where the bucket's own address is public.
    """

    def __init__(
        self,
        client: Callable[[], Any],
        bucket: str,
        region: str,
        link: Link | None = None,
        public_url: str = "",
    ) -> None:
        super().__init__(client, bucket, region, "exports")
        self._link = link
        self._public_url = public_url

    def has(self, key: str) -> bool:
        """Say whether there is an object. Raises ``Unavailable``."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except FAILED_CALLS as error:
            if cause_of(error) in _GONE:
                return False
            raise self._unavailable(error) from error
        return True

    def begin(self, key: str, content_type: str) -> str:
        """Begin to upload an object in parts. Return the upload's id. Raises ``Unavailable``."""
        return str(self._call("create_multipart_upload", Key=key, ContentType=content_type)["UploadId"])

    def part(self, key: str, upload: str, number: int, data: bytes) -> str:
        """Upload a part, the first being 1; all but the last have at least 5 MiB. Return its tag. Raises ``Unavailable``.

        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html (read 2026-11-22).
        """
        return str(self._call("upload_part", Key=key, UploadId=upload, PartNumber=number, Body=data)["ETag"])

    def finish(self, key: str, upload: str, tags: Sequence[str]) -> None:
        """Make the object of its parts, whose tags are given in order. Raises ``Unavailable``."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, start=1)]
        self._call("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})

    def delete_older(self, than: datetime) -> int:
        """Delete objects and end uploads from before a time, where the bucket has no lifecycle. Return how many objects.

        Raises:
            Unavailable: the bucket does not answer.
        """
        deleted, after = 0, ""
        while True:
            answer = self._call("list_objects_v2", StartAfter=after)
            for found in answer.get("Contents", ()):
                after = found["Key"]
                if found["LastModified"] < than:
                    self._call("delete_object", Key=found["Key"])
                    deleted += 1
            if not answer.get("IsTruncated"):
                break
        for upload in self._call("list_multipart_uploads").get("Uploads", ()):
            if upload["Initiated"] < than:
                self._call("abort_multipart_upload", Key=upload["Key"], UploadId=upload["UploadId"])
        return deleted

    def link(self, key: str, name: str, for_s: int) -> str:
        """Return an address under which an object can be read without a key for a time, to be saved as ``name``. No call is made."""
        if self._link is not None:
            return self._link(key, name, for_s)
        saved = f'attachment; filename="{name}"'
        arguments = {"Bucket": self._bucket, "Key": key, "ResponseContentDisposition": saved}
        signed = str(self._s3.generate_presigned_url("get_object", Params=arguments, ExpiresIn=for_s))
        # The signature covers the bucket's own address: the proxy sets the header Host to it.
        return signed.replace(self._s3.meta.endpoint_url, self._public_url, 1) if self._public_url else signed
