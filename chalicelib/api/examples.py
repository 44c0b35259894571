"""Bodies of requests for ``/openapi.json``: those of the first flow, and one for every other operation with a body.

A test sends each of them to a cell, with the ids that the cell has given in the place of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ID = "06h2pv1xsjrh80kt9t2mh4nbv5"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_RECIPIENT: Mapping[str, Any] = {
    "legal_name": "Nord CRM GmbH",
    "contact": "dpo@crm.example",
    "entity_country": "DE",
    "processing_countries": ["DE"],
    "role": "processor",
    "contract": {"id": "dpa-7", "sha256": _DIGEST, "valid_from": "2026-01-01", "valid_until": None},
    "classes": ["identifier", "contact", "name", "content", "media", "location", "behaviour", "technical"],
    "onward": [],
    "granted": True,
}
_BASIS: Mapping[str, Any] = {
    "kind": "instruction",
    "valid_from": "2026-01-01",
    "valid_until": None,
    "evidence": f"sha256:{_DIGEST}",
}
_ROUTE: Mapping[str, Any] = {
    "name": "messages",
    "pattern": {"kind": ["message"]},
    "destination": f"dst_{_ID}",
    "purpose": "customer_support",
    "mode": "replicate",
}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "create_redrive": {"all tenants": {}, "all tenants, by name": {"operator": "duty"}},
    "create_tenant": {
        "enterprise": {
            "name": "Nord",
            "edition": "enterprise",
            "tenant_class": "general",
            "retention": {"default_days": 30},
            "controller": {"legal_name": "Nord GmbH", "country": "DE", "contact": "privacy@nord.example"},
        }
    },
    "update_tenant": {"retention": {"retention": {"default_days": 90}}},
    "update_own_tenant": {"hold_hours": {"hold_hours": 24}},
    "create_key": {"read": {"name": "dashboard", "scopes": ["read"]}},
    "create_source": {
        "telegram": {
            "channel": "telegram",
            "name": "shop bot",
            "secret": {"secret_token": "s3cret"},
            "subject_country": "DE",
            "special": [],
        }
    },
    "update_source": {"country": {"subject_country": "FR"}, "unknown": {"subject_country": None}},
    "rotate_source_secret": {"telegram": {"secret": {"secret_token": "s3cret-2"}}},
    "subscribe_source": {"telegram": {"credentials": {"bot_token": "123456789:AAExampleExampleExampleExample"}}},
    "create_basis": {"instruction": _BASIS, "contract": {**_BASIS, "kind": "contract"}},
    "create_recipient": {"processor": _RECIPIENT},
    "replace_recipient": {"processor": {**_RECIPIENT, "processing_countries": ["DE", "FR"]}},
    "create_destination": {
        "http": {
            "name": "crm",
            "kind": "http",
            "config": {"url": "http://127.0.0.1:9000/in"},
            "recipient": f"rcp_{_ID}",
            "retry": {"delays_s": [5, 300, 1800]},
        }
    },
    "update_destination": {"rate": {"rate_limit_per_s": 10}},
    "create_route": {"messages": _ROUTE},
    "replace_route": {"messages": {**_ROUTE, "name": "all messages"}},
    "update_route": {"pause": {"enabled": False}},
    "preview_route": {"stored": {"event_id": f"evt_{_ID}", "route": _ROUTE}},
    "explain_decision": {"event": {"event": f"evt_{_ID}", "route": f"rte_{_ID}"}},
    "check_planned_flow": {
        "planned": {
            "source": {"channel": "telegram", "name": "bot"},
            "recipient": f"rcp_{_ID}",
            "purpose": "customer_support",
        }
    },
    "use_profile": {"first look": {"answers": {"recipient_legal_name": "Nord CRM GmbH"}}},
    "create_consent": {
        "web form": {
            "subject": f"sub_{_ID}",
            "recipient": f"rcp_{_ID}",
            "purposes": ["customer_support"],
            "classes": ["identifier", "name", "content"],
            "countries": ["DE"],
            "given_at": "2026-10-01T09:00:00Z",
            "method": "web_form",
            "notice_sha256": _DIGEST,
            "separate_document": True,
        }
    },
    "withdraw_consent": {"message": {"method": "message"}},
    "set_off_record": {"off": {"otr": True}},
    "create_switch": {
        "country": {"scope": "country", "value": "US", "until": None, "reason": "transfers under review"}
    },
    "create_legal_hold": {
        "period": {
            "scope": "period",
            "value": {"after": "2026-11-01T00:00:00Z", "before": "2026-12-01T00:00:00Z"},
            "authority_ref": "case 12/2026",
        }
    },
    "create_bundle": {"full": {"mode": "full"}},
    "replay_destination": {"failed": {"outcome": "gave_up", "after": "2026-11-01T00:00:00Z"}},
}
"""By the operation, each body by a name."""
