"""Back up a home's log and declarations, and fill an empty home from a backup. The keys of people are never copied.

A backup is a folder:

| file | content |
|---|---|
| ``store.db`` | all tables, of which ``people`` has no rows |
| ``evidence/`` | the evidence bucket, and in ``versions/`` what the gateway keeps beside it |
| ``backup.json`` | the cell, the time, and the SHA-256 of ``store.db`` |

The cell must not serve meanwhile: the log's rows and its bucket must be of the same moment.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

MEMBERS = {"evidence": "objects/buckets", "versions": "objects/versions"}
"""The folders of a backup, and where the home has each."""


def refuse(why: str) -> NoReturn:
    """End with a message."""
    print(f"part: {why}", file=sys.stderr)
    raise SystemExit(1)


def copy_tables(source: Path, target: Path, people: str) -> None:
    """Copy an SQLite database as it is at one moment, without the rows of the table ``people`` and its indexes."""
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as made:
        made.execute("ATTACH ? AS live", (f"file:{source}?mode=ro",))
        made.execute("BEGIN")
        objects = made.execute(
            "SELECT type, name, sql FROM live.sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY type DESC"
        ).fetchall()
        for kind, name, sql in objects:
            made.execute(sql)
            if kind == "table" and not (name == people or name.startswith(f"{people}::")):
                quoted = name.replace('"', '""')
                made.execute(f'INSERT INTO main."{quoted}" SELECT * FROM live."{quoted}"')
        made.execute("COMMIT")


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with the extended attributes, in which the gateway keeps what it knows of an object."""
    kept = "--preserve=mode,timestamps,links,xattr"
    subprocess.run(["cp", "--recursive", "--no-target-directory", kept, str(source), str(target)], check=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def backup(home: Path, cell: str, bucket: str, target: Path) -> None:
    """Write a backup to an empty or new folder."""
    if target.exists() and any(target.iterdir()):
        refuse(f"{target} is not empty: a backup begins with an empty folder")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy_tables(home / "store" / "store.db", target / "store.db", f"waybill-{cell}-people")
    for member, place in MEMBERS.items():
        if (found := home / place / bucket).exists():
            copy_folder(found, target / member)
    told = {"cell": cell, "at": datetime.now(UTC).isoformat(timespec="seconds"), "store": sha256(target / "store.db")}
    (target / "backup.json").write_text(json.dumps(told) + "\n", "utf-8")


def restore(home: Path, cell: str, bucket: str, source: Path) -> None:
    """Fill a home that has its folders and keys, but no tables yet."""
    try:
        told = json.loads((source / "backup.json").read_text("utf-8"))
    except (OSError, ValueError):
        refuse(f"{source} holds no whole backup: backup.json is missing")
    if told["cell"] != cell:
        refuse(f"the backup is of the cell {told['cell']}: set WAYBILL_CELL to it")
    if told["store"] != sha256(source / "store.db"):
        refuse(f"{source}/store.db is not the file that was backed up")
    if (home / "store" / "store.db").exists():
        refuse("this home has tables already: restore into an empty one")
    for member, place in MEMBERS.items():
        if (source / member).exists():
            copy_folder(source / member, home / place / bucket)
    copied = home / "store" / "store.new"
    copied.write_bytes((source / "store.db").read_bytes())
    copied.rename(home / "store" / "store.db")


def main() -> None:
    """Run as ``part backup`` and ``part restore`` do."""
    parser = argparse.ArgumentParser(prog="part")
    parser.add_argument("task", choices=("backup", "restore"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    os.umask(0o077)
    home, cell = Path(os.environ["WAYBILL_HOME"]), os.environ["WAYBILL_CELL"]
    run = backup if arguments.task == "backup" else restore
    run(home, cell, os.environ["WAYBILL_EVIDENCE_BUCKET"], arguments.folder)


if __name__ == "__main__":
    main()
