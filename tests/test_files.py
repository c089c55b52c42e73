"""Files survive full disks, failing renames and second processes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from molnet.files import FileError, atomic_write, lock_folder


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"former")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "atomic", b"")
    (tmp_path / "plain").touch()
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_write_leaves_the_former_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"former")
    monkeypatch.setattr(os, call, full_disk)
    with pytest.raises(FileError, match=r"file: no space left on device; the former file is untouched\.$"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"former"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_that_was_never_made_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no such file or directory; no file was made\.$"):
        atomic_write(tmp_path / "absent" / "file", b"")


def test_a_stopped_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    refused = pytest.raises(FileError, match=r"another run is writing in .*run; wait")
    with lock_folder(folder), refused, lock_folder(folder):
        pass
    with lock_folder(folder):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(FileError, match=r"cannot write in the folder .*not a directory")
    with refused, lock_folder(tmp_path / "file" / "run"):
        pass
