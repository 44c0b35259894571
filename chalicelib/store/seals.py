"""Seals of a log: rows of its audit table that say which entries have which index. Inserted once, like entries.

| row | ``pk`` | ``sk`` | attributes |
|---|---|---|---|
| seal | ``{tenant}#seal#{log}`` | first index, 12 digits | ``seal`` (JSON) |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from botocore.exceptions import ClientError

from ..core.errors import AuditBroken, AuditUnavailable, WrongRegion
from ..core.log.seal import INDEX_DIGITS, Seal
from .items import FAILED_CALLS, call, cause_of, code_of, is_unavailable, read, write

_DUPLICATE = frozenset({"DuplicateItem", "DuplicateItemException", "ConditionalCheckFailedException"})
PAGE = 100


def _key(tenant: str, log: str) -> str:
    return f"{tenant}#seal#{log}"


def _place(index: int) -> str:
    return f"{index:0{INDEX_DIGITS}d}"


class Seals:
    """Read and insert seals.

    Args:
        client: a low-level DynamoDB client of the home region.
        table: returns the name of a log's table.
        insert: as the entries are inserted.
    """

    def __init__(
        self, client: Any, table: Callable[[str], str], region: str, insert: Literal["partiql", "put"]
    ) -> None:
        if client.meta.region_name != region:
            raise WrongRegion("the audit log has a client of the home region only")
        self._client = client
        self._table = table
        self._region = region
        self._insert = {"partiql": self._statement, "put": self._put}[insert]

    def last(self, tenant: str, log: str) -> Seal | None:
        """Return a log's newest seal (consistent); None where nothing has been sealed. Raises as ``after``."""
        for seal in self._query(tenant, log, "sk <= :s", _place(10**INDEX_DIGITS - 1), ascending=False, limit=1):
            return seal
        return None

    def get(self, tenant: str, log: str, first: int) -> Seal | None:
        """Return the seal that begins at an index (consistent). Raises as ``after``."""
        for seal in self._query(tenant, log, "sk = :s", _place(first), limit=1):
            return seal
        return None

    def holding(self, tenant: str, log: str, index: int) -> Seal | None:
        """Return the seal that an index is in, or the last one before it. Raises as ``after``."""
        for seal in self._query(tenant, log, "sk <= :s", _place(index), ascending=False, limit=1):
            return seal
        return None

    def after(self, tenant: str, log: str, index: int, limit: int | None = None) -> Iterator[Seal]:
        """Yield the seals that begin at or after an index, in order.

        Raises:
            AuditBroken: a row is not a seal.
            Unavailable: throttled, or the table does not answer.
        """
        yield from self._query(tenant, log, "sk >= :s", _place(index), limit=limit)

    def _query(
        self, tenant: str, log: str, range_: str, place: str, *, ascending: bool = True, limit: int | None = None
    ) -> Iterator[Seal]:
        arguments: dict[str, Any] = {
            "TableName": self._table(log),
            "KeyConditionExpression": f"pk = :p AND {range_}",
            "ExpressionAttributeValues": write({":p": _key(tenant, log), ":s": place}),
            "ConsistentRead": True,
            "ScanIndexForward": ascending,
            "Limit": limit or PAGE,
        }
        given = 0
        while True:
            try:
                answer = call(self._client.query, **arguments)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return
                raise
            for item in answer.get("Items", ()):
                yield self._read(tenant, log, item)
                given += 1
            if "LastEvaluatedKey" not in answer or given == limit:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _read(self, tenant: str, log: str, item: Any) -> Seal:
        row = read(item, self._region)
        try:
            seal = Seal.from_document(json.loads(row["seal"]))
        except (KeyError, TypeError, ValueError) as error:
            raise AuditBroken("a seal's row cannot be read") from error
        if row["pk"] != _key(tenant, log) or row["sk"] != _place(seal.first):
            raise AuditBroken("a seal's row holds another seal than its key names")
        return seal

    def insert(self, tenant: str, log: str, seal: Seal) -> bool:
        """Insert a seal. Return False if another one begins at its index: another sealer was first.

        Raises:
            AuditUnavailable: it is not known to be there; read the log again.
        """
        item = {
            "pk": _key(tenant, log),
            "sk": _place(seal.first),
            "seal": json.dumps(seal.document(), separators=(",", ":"), sort_keys=True),
            "region": self._region,
        }
        try:
            self._insert(self._table(log), write(item))
        except FAILED_CALLS as error:
            if cause_of(error) in _DUPLICATE:
                return False
            if is_unavailable(error):
                raise AuditUnavailable("the audit table did not take a seal; try again") from error
            raise
        return True

    def _statement(self, table: str, item: dict[str, Any]) -> None:
        names = ", ".join(f"'{name}': ?" for name in item)
        statement = f'INSERT INTO "{table}" VALUE {{{names}}}'
        self._client.execute_statement(Statement=statement, Parameters=list(item.values()))

    def _put(self, table: str, item: dict[str, Any]) -> None:
        self._client.put_item(TableName=table, Item=item, ConditionExpression="attribute_not_exists(pk)")
