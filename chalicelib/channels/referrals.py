"""The advertisement, post or product that led a person to a WhatsApp chat, in the words that WhatsApp and its brokers share."""

from __future__ import annotations

from ..core.event.event import Referral
from .fields import Json, optional_id, text


def referral_from(found: Json, product: Json, payload: str | None = None) -> Referral | None:
    """Return what led to a message: the ``referral``, else the product that it asks about, else None.

    Args:
        payload: the parameter of the link, where the platform gives one.
    """
    if found:
        return Referral(
            source=text(found.get("source_type")),
            id=optional_id(found.get("source_id")),
            url=text(found.get("source_url")),
            title=text(found.get("headline")),
            text=text(found.get("body")),
            click_id=optional_id(found.get("ctwa_clid")),
            payload=payload,
        )
    if product:
        catalogue = optional_id(product.get("catalog_id"))
        return Referral(source="product", id=optional_id(product.get("product_retailer_id")), payload=catalogue)
    return None
