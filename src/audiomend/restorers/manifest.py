"""What a batch has done: a small SQLite file in the folder of its outputs, so that a batch can be resumed.

A row is written before a file is begun and again when its output has its name. A process that is killed
between the two leaves a row that says "begun": the next batch knows that an output by that name is its own,
and makes it anew. Every write is on the disk before the batch goes on.
"""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audiomend.errors import AudioWriteError, UsageError

NAME = "audiomend.sqlite"
State = Literal["begun", "mended", "unchanged", "failed"]

_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter where the message of the former is no text
_VERSION = 1
_TABLE = """
CREATE TABLE files (
    output TEXT PRIMARY KEY,  -- relative to the folder
    source TEXT NOT NULL,
    input_sha256 TEXT NOT NULL,
    settings_sha256 TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('begun', 'mended', 'unchanged', 'failed')),
    output_sha256 TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0,
    own INTEGER NOT NULL DEFAULT 1
) STRICT
"""


@dataclass(frozen=True)
class Row:
    """One file of a batch.

    Attributes:
        output: relative to the folder, with "/" between its parts.
        source: path as it was given or found.
        input_sha256, settings_sha256: what the output follows from.
        state: begun, mended (or damaged on purpose), unchanged (there was nothing to do) or failed.
        output_sha256: of the output, once it is there.
        message: what was done, or why it failed.
        seconds: wall time.
        own: whether a file that stands under the output's name is the batch's, so that it may be replaced.
    """

    output: str
    source: str
    input_sha256: str
    settings_sha256: str
    state: State
    output_sha256: str = ""
    message: str = ""
    seconds: float = 0.0
    own: bool = True


class Manifest:
    """Context manager: the rows of a folder. One process at a time may hold it.

    Raises:
        UsageError: another process holds it, or the file is no manifest of this version.
        AudioWriteError: the folder takes no file.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        try:
            self._base = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        try:
            self._open()
        except (*_ERRORS, UsageError) as error:
            self._base.close()
            raise error if isinstance(error, UsageError) else self._refusal(error) from None

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def _open(self) -> None:
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")  # ends with the process
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.execute("BEGIN EXCLUSIVE")
        (version,) = self._base.execute("PRAGMA user_version").fetchone()
        if version == 0 and not self._base.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._base.execute(_TABLE)
            self._base.execute(f"PRAGMA user_version = {_VERSION}")
        elif version != _VERSION:
            raise UsageError(f"{self._path} was written by another version; remove it to do all anew")
        self._base.execute("COMMIT")

    def _refusal(self, error: sqlite3.Error | UnicodeDecodeError) -> UsageError | AudioWriteError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return UsageError(f"another batch is at work in {self._path.parent}; wait for it to end")
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return UsageError(f"{self._path} is no manifest, or damaged; remove it to do all anew")
        return AudioWriteError(f"{self._path} cannot be written: {error}")

    def row(self, output: str) -> Row | None:
        """What is known of an output.

        Raises:
            UsageError: the file is damaged.
        """
        names = ", ".join(Row.__dataclass_fields__)
        try:
            found = self._base.execute(f"SELECT {names} FROM files WHERE output = ?", (output,)).fetchone()
        except _ERRORS as error:
            raise self._refusal(error) from None
        return None if found is None else Row(*found[:-1], own=bool(found[-1]))  # SQLite has no truths

    def put(self, row: Row) -> None:
        """Write a row in place of the one of the same output; it is on the disk when this returns.

        Raises:
            AudioWriteError: the disk is full or has become read-only.
        """
        values = vars(row)
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        try:
            self._base.execute(
                f"INSERT OR REPLACE INTO files ({names}) VALUES ({marks})", tuple(values.values())
            )
        except _ERRORS as error:
            with suppress(*_ERRORS):
                self._base.execute("ROLLBACK")
            raise self._refusal(error) from None
