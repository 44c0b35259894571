"""The bill of materials of a package: each dependency with its version, its licence and its files' origin, as CycloneDX.

The bill is in the archive and beside it. Equal dependencies give equal bytes: its time is fixed and its serial number is made of its content.

Source: https://cyclonedx.org/docs/1.6/json/ (read 2026-11-30).
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME: Final = "sbom.cdx.json"


def bill_of(installed: Path, cell: str) -> str:
    """Make the CycloneDX JSON of the distributions in a folder, for a cell's package."""
    found = {canonicalize_name(d.name): d for d in metadata.distributions(path=[str(installed)])}
    components: dict[str, Component] = {name: _component(name, found[name]) for name in sorted(found)}
    root = Component(name=f"waybill-{cell}", type=ComponentType.APPLICATION, bom_ref="waybill")
    bom = Bom(components=components.values(), metadata=BomMetaData(component=root))
    bom.register_dependency(root, components.values())
    for component in components.values():
        needs = _needs(found[canonicalize_name(component.name)])
        bom.register_dependency(component, [components[name] for name in needs if name in components])
    listed = "\n".join(str(component.purl) for component in components.values())
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{cell}\n{listed}")
    bom.metadata.timestamp = datetime(1980, 1, 1, tzinfo=UTC)  # that of the archive's files
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _component(name: str, distribution: metadata.Distribution) -> Component:
    purl = PackageURL("pypi", None, name, distribution.version)
    return Component(
        name=name,
        version=distribution.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        licenses=[_licence(distribution)],
    )


def _licence(distribution: metadata.Distribution) -> License:
    about = distribution.metadata.json
    stated = about.get("license_expression") or about.get("license") or "see the files of the distribution"
    return LicenseFactory().make_from_string(str(stated))


def _needs(distribution: metadata.Distribution) -> set[str]:
    needed = [Requirement(text) for text in distribution.requires or ()]
    return {canonicalize_name(r.name) for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})}
