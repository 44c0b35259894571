"""Write chalicelib/law/regions.toml: the country of every AWS region that the installed botocore knows.

It stops at a region without a country here: a person must look up where AWS built it. ISO partitions are left out,
because only their owners can open an account there.

Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html, read 2026-11-22.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from botocore.loaders import create_loader

TARGET = Path(__file__).parents[2] / "chalicelib" / "law" / "regions.toml"
PSEUDO = re.compile(r"(^|-)global$")

COUNTRIES: Mapping[str, str] = {
    "af-south-1": "ZA",
    "ap-east-1": "HK",
    "ap-east-2": "TW",
    "ap-northeast-1": "JP",
    "ap-northeast-2": "KR",
    "ap-northeast-3": "JP",
    "ap-south-1": "IN",
    "ap-south-2": "IN",
    "ap-southeast-1": "SG",
    "ap-southeast-2": "AU",
    "ap-southeast-3": "ID",
    "ap-southeast-4": "AU",
    "ap-southeast-5": "MY",
    "ap-southeast-6": "NZ",
    "ap-southeast-7": "TH",
    "ca-central-1": "CA",
    "ca-west-1": "CA",
    "eu-central-1": "DE",
    "eu-central-2": "CH",
    "eu-north-1": "SE",
    "eu-south-1": "IT",
    "eu-south-2": "ES",
    "eu-west-1": "IE",
    "eu-west-2": "GB",
    "eu-west-3": "FR",
    "il-central-1": "IL",
    "me-central-1": "AE",
    "me-south-1": "BH",
    "me-west-1": "SA",
    "mx-central-1": "MX",
    "sa-east-1": "BR",
    "sa-west-1": "CL",
    "us-east-1": "US",
    "us-east-2": "US",
    "us-west-1": "US",
    "us-west-2": "US",
    "cn-north-1": "CN",
    "cn-northwest-1": "CN",
    "eusc-de-east-1": "DE",
    "us-gov-east-1": "US",
    "us-gov-west-1": "US",
}


def regions() -> dict[str, list[str]]:
    """Return the regions that botocore knows, by partition, without pseudo regions and ISO partitions."""
    partitions = create_loader().load_data("partitions")["partitions"]
    return {
        p["id"]: sorted(r for r in p["regions"] if not PSEUDO.search(r))
        for p in partitions
        if not p["id"].startswith("aws-iso")
    }


def text(found: Mapping[str, list[str]]) -> str:
    """Return regions.toml.

    Raises:
        KeyError: a region whose country is not known.
    """
    lines = ["# The country of every AWS region, by partition. Made by `make regions`; do not edit."]
    for partition, names in found.items():
        lines += ["", f"[{partition}]", *(f'{name} = "{COUNTRIES[name]}"' for name in names)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        TARGET.write_text(text(regions()), encoding="utf-8")
    except KeyError as unknown:
        sys.exit(f"where is {unknown.args[0]}? Add its country to infra/deploy/regions.py")
