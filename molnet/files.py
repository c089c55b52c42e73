"""Writing files so that a crash, a full disk or a second process never costs the former file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileError(OSError):
    """A file or folder that cannot be read or written; its text is a sentence for the user."""


def atomic_write(path: str | Path, data: bytes) -> None:
    """Replaces a file by `data` at once: whoever opens the path finds the former bytes or the new ones.

    The bytes go to a temporary file in the same folder, are forced to the disk, and the file is then
    renamed. Raises FileError where the disk is full or the folder cannot be written; the former file is
    then untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        former = "the former file is untouched" if path.exists() else "no file was made"
        raise FileError(f"cannot write {path}: {_reason(error)}; {former}.") from error
    finally:
        _remove(temporary)


@contextmanager
def lock_folder(folder: str | Path) -> Iterator[None]:
    """Makes the folder if need be and holds it for one process; the lock ends when the process does.

    Raises FileError where another process holds the folder or where it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / ".lock", "w")  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise FileError(f"cannot write in the folder {folder}: {_reason(error)}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileError(
                f"another run is writing in {folder}; wait for its end, or choose another folder."
            ) from error
        except OSError as error:
            raise FileError(f"cannot lock the folder {folder}: {_reason(error)}.") from error
        yield


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remove(path: Path) -> None:
    """Removes a file where that is possible; the error that led here matters more than one of tidying up."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
