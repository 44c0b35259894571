"""The exports bucket on every engine that has buckets."""

from __future__ import annotations

import urllib.request

import pytest

from chalicelib.core.errors import Unavailable, WrongRegion
from chalicelib.store.exports import Exports
from tests.support.engines import Engine, session

BIG = b"0123456789abcdef" * (5 * 1024 * 1024 // 16)
"""As long as a part must be that is not the last."""


@pytest.fixture
def exports(engine: Engine) -> Exports:
    bucket = f"{engine.prefix}-exports"
    engine.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": engine.region})
    return Exports(lambda: engine.client("s3"), bucket, engine.region)


def test_an_object_is_read_as_it_was_last_written(exports: Exports) -> None:
    exports.put("parts/job_1/entries-0", b"one")
    exports.put("parts/job_1/entries-0", b"two")

    assert exports.get("parts/job_1/entries-0") == b"two"
    assert (exports.has("parts/job_1/entries-0"), exports.has("parts/job_1/entries-1")) == (True, False)


def test_it_says_so_when_an_object_is_gone(exports: Exports) -> None:
    with pytest.raises(Unavailable):
        exports.get("parts/job_1/entries-0")


def test_it_says_so_when_an_upload_is_gone(engine: Engine, exports: Exports) -> None:
    if engine.url is None:
        pytest.skip("moto knows no answer to it")

    with pytest.raises(Unavailable):
        exports.part("bundles/job_1.tar", "no-such-upload", 1, b"x")


def test_an_object_is_made_of_its_parts_when_some_were_uploaded_twice(exports: Exports) -> None:
    upload = exports.begin("bundles/job_1.tar", "application/x-tar")
    tags = [exports.part("bundles/job_1.tar", upload, number, data) for number, data in ((1, BIG), (2, b"end"))]
    before = exports.has("bundles/job_1.tar")

    again = exports.part("bundles/job_1.tar", upload, 1, BIG)
    exports.finish("bundles/job_1.tar", upload, tags)

    assert (before, again) == (False, tags[0])
    assert exports.get("bundles/job_1.tar") == BIG + b"end"


def test_a_link_begins_with_the_proxys_address_when_there_is_one() -> None:
    private = "http://127.0.0.1:7070"
    s3 = session().client(
        "s3", region_name="kz-home1", endpoint_url=private, aws_access_key_id="a", aws_secret_access_key="b"
    )
    exports = [Exports(lambda: s3, "exports", "kz-home1", None, url) for url in ("", "https://hooks.example")]

    own, public = (one.link("bundles/j.tar", "j.tar", 60) for one in exports)

    assert own.startswith(f"{private}/exports/bundles/j.tar?")
    assert public.startswith("https://hooks.example/exports/bundles/j.tar?")
    s3.close()


def test_a_link_gives_the_object_without_a_key_and_under_its_name(engine: Engine, exports: Exports) -> None:
    exports.put("bundles/job_1.tar", b"tar")
    if engine.url is not None:  # ministack checks signatures, and knows one secret
        known = session().client(
            "s3", engine.region, endpoint_url=engine.url, aws_access_key_id="test", aws_secret_access_key="test"
        )
        known.create_bucket(Bucket="linked", CreateBucketConfiguration={"LocationConstraint": engine.region})
        exports = Exports(lambda: known, "linked", engine.region)
        exports.put("bundles/job_1.tar", b"tar")

    link = exports.link("bundles/job_1.tar", "log.tar", 900)

    assert "X-Amz-Expires=900" in link
    if engine.url is None:
        return  # moto answers calls in this process only
    with urllib.request.urlopen(link, timeout=60) as answer:
        assert answer.read() == b"tar"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="log.tar"'


def test_a_bucket_of_another_region_is_refused(engine: Engine) -> None:
    exports = Exports(lambda: engine.client("s3"), "any", "eu-west-1")

    with pytest.raises(WrongRegion):
        exports.get("x")
