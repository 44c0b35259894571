"""The next release of the rehearsal differs from this one where it should."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from infra.deploy import later, template
from infra.deploy.package import Package


def packaged(place: Path, texts: dict[str, str]) -> Package:
    archive = place / "deployment.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name, text in texts.items():
            made.writestr(name, text)
            made.writestr(f"{Path(name).parent}/__pycache__/{Path(name).stem}.cpython-313.pyc", "code")
        made.writestr("app.py", "")
    return Package(template.cell_of("rehearsal"), place / "template.json", archive, 0, 0)


def test_the_next_release_has_each_change_and_no_byte_code_of_what_was_changed(tmp_path: Path) -> None:
    texts = {name: (template.ROOT / name).read_text("utf-8") for name in later.CHANGES}

    made = later.later(packaged(tmp_path, texts), tmp_path)

    with zipfile.ZipFile(made.archive) as archive:
        assert sorted(archive.namelist()) == sorted([*texts, "app.py"])
        for name, (before, after) in later.CHANGES.items():
            assert archive.read(name).decode() == texts[name].replace(before, after) != texts[name]


def test_the_next_release_is_refused_when_a_text_to_change_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="once"):
        later.later(packaged(tmp_path, dict.fromkeys(later.CHANGES, "")), tmp_path)
