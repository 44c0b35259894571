"""A destination's place and role: where its kind keeps data, and whether the tenant's role is safe to act under.

A role is safe when it can be assumed with the destination's external id and cannot be assumed without it. A tenant gets the
id from the answer that makes the destination, so that a new one stays disabled until its role is ready.
"""

from __future__ import annotations

import hmac
from typing import Any

from ...core import ids
from ...core.errors import Invalid, Unavailable
from ...core.tenant.records import Destination
from ...destinations import of_kind
from ...destinations.proof import Proof
from ..request import Request

LOC = "body.config.role_arn"


def external_id(request: Request, destination: str) -> str:
    """Return the external id of one destination: always the same, and unguessable without the tenant's key."""
    text = f"external id\0{request.tenant.id}\0{destination}"
    return "wbx_" + ids.encode(
        int.from_bytes(hmac.digest(request.keys.external_ids, text.encode(), "sha256"), "big"), 52
    )


def described(request: Request, destination: Destination, config: Any) -> Destination:
    """Return a destination with its place and, where its kind acts under a role, its external id."""
    kind = of_kind(destination.kind)
    changes = {
        "place": kind.place(config) or (),
        "external_id": None if kind.CAPABILITIES.prove is None else external_id(request, destination.id),
    }
    return destination.model_copy(update=changes)


def begun(request: Request, destination: Destination, config: Any) -> Destination:
    """Return a new destination as it is stored: disabled where its role does not demand the id yet.

    Raises:
        Invalid: anyone may assume the role.
    """
    if not destination.enabled or destination.external_id is None:
        return destination
    proof = _proof(request, destination, config)
    if proof is Proof.OPEN:
        raise _open("an external id that you choose; the answer then holds the one to put in its place")
    if proof is Proof.PROVEN:
        return destination
    return destination.model_copy(update={"enabled": False, "disabled_because": "role"})


def demand(request: Request, destination: Destination, config: Any) -> None:
    """Refuse to enable a destination whose role is not safe to act under; the text names the remedy.

    Raises:
        Invalid: anyone may assume the role, or we may not.
        Unavailable: it could not be checked.
    """
    if destination.external_id is None:
        return
    proof = _proof(request, destination, config)
    if proof is Proof.OPEN:
        raise _open(f'"{destination.external_id}"')
    if proof is Proof.REFUSED:
        text = (
            f"the role cannot be assumed: have its trust policy let the account {request.runtime.settings.account} assume it, "
            f'where sts:ExternalId is "{destination.external_id}", and try again a minute later'
        )
        raise Invalid(text, [{"loc": LOC, "code": "role_refused", "msg": text}])
    if proof is Proof.UNKNOWN:
        raise Unavailable("the role could not be asked for; try again")


def _proof(request: Request, destination: Destination, config: Any) -> Proof:
    prove = of_kind(destination.kind).CAPABILITIES.prove
    if prove is None or destination.external_id is None:
        raise TypeError(f"destinations of kind {destination.kind} act under no role")
    return prove(config, destination.external_id, destination.id, request.runtime.destination_clients)


def _open(wanted: str) -> Invalid:
    text = f"the role can be assumed without an external id: have its trust policy demand sts:ExternalId, {wanted}"
    return Invalid(text, [{"loc": LOC, "code": "role_open", "msg": text}])
