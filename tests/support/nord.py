"""The flows of the tenant Nord, as ``waybill preflight`` reads them: in Germany, and in Russia."""

from __future__ import annotations

from pathlib import Path

NORD = (Path(__file__).parent.parent / "fixtures" / "preflight" / "nord.toml").read_text(encoding="utf-8")
IN_RUSSIA = NORD.replace('region = "eu-central-1"', 'country = "RU"').replace(
    'country = "DE", contact', 'country = "RU", contact'
)
