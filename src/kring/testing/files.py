"""What every place for files must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from kring.errors import Busy, Conflict, NotFound, StorageError
from kring.ports.files import Files


class FilesSuite(ABC):
    @abstractmethod
    def make(self) -> Files:
        """Files that may use any folder below pytest's `tmp_path`."""

    def test_what_was_written_is_read(self, tmp_path: Path) -> None:
        files = self.make()
        for data in (b"", b"one", b"another" * 100_000):
            files.write(tmp_path / "new" / "folder" / "file", data)
            assert files.read(tmp_path / "new" / "folder" / "file") == data

    def test_writing_leaves_nothing_beside(self, tmp_path: Path) -> None:
        files = self.make()
        files.write(tmp_path / "a" / "file", b"1")
        files.write(tmp_path / "a" / "file", b"2")
        assert files.list(tmp_path / "a") == [tmp_path / "a" / "file"]

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        files = self.make()
        with pytest.raises(NotFound, match="nothing here"):
            files.read(tmp_path / "nothing here")
        assert files.list(tmp_path / "nothing here") == []
        files.remove(tmp_path / "nothing here")

    def test_a_file_in_the_way_is_a_storage_error(self, tmp_path: Path) -> None:
        files = self.make()
        files.write(tmp_path / "file", b"")
        with pytest.raises(StorageError):
            files.write(tmp_path / "file" / "below", b"")
        with pytest.raises(StorageError):
            files.append(tmp_path / "file" / "below")
        with pytest.raises(StorageError):
            files.truncate(tmp_path / "missing", 0)

    def test_appending_goes_on_at_the_end(self, tmp_path: Path) -> None:
        files = self.make()
        for part in (b"one ", b"two ", b"three"):
            appender = files.append(tmp_path / "new" / "log")
            appender.write(part)
            appender.sync()
            assert appender.size() == len(files.read(tmp_path / "new" / "log"))
            appender.close()
            appender.close()
        assert files.read(tmp_path / "new" / "log") == b"one two three"

    def test_zeros_ahead_are_no_part_of_what_was_appended(self, tmp_path: Path) -> None:
        files = self.make()
        appender = files.append(tmp_path / "log", ahead=64)
        whole = b""
        for part in (b"one", b"2" * 100, b"", b"three"):
            appender.write(part)
            appender.sync()
            whole += part
            found = files.read(tmp_path / "log")
            assert found[: len(whole)] == whole
            assert not found[len(whole) :].strip(b"\0")
            assert len(found) <= len(whole) + 64
            assert appender.size() == len(whole)
        appender.close()
        assert files.read(tmp_path / "log") == whole
        again = files.append(tmp_path / "log", ahead=64)
        again.write(b"!")
        again.close()
        assert files.read(tmp_path / "log") == whole + b"!"

    def test_a_file_has_one_appender(self, tmp_path: Path) -> None:
        files = self.make()
        first = files.append(tmp_path / "log")
        with pytest.raises(Busy):
            files.append(tmp_path / "log")
        first.write(b"1")
        first.close()
        files.append(tmp_path / "log").close()
        assert files.read(tmp_path / "log") == b"1"

    def test_a_closed_appender_takes_nothing(self, tmp_path: Path) -> None:
        appender = self.make().append(tmp_path / "log")
        appender.close()
        with pytest.raises(StorageError):
            appender.write(b"late")

    def test_truncating_cuts_and_appending_goes_on_there(self, tmp_path: Path) -> None:
        files = self.make()
        files.write(tmp_path / "log", b"0123456789")
        files.truncate(tmp_path / "log", 4)
        assert files.read(tmp_path / "log") == b"0123"
        appender = files.append(tmp_path / "log")
        assert appender.size() == 4
        appender.write(b"!")
        appender.close()
        assert files.read(tmp_path / "log") == b"0123!"

    def test_listing_is_sorted_and_flat(self, tmp_path: Path) -> None:
        files = self.make()
        for name in ("b", "a", "c/d"):
            files.write(tmp_path / "here" / name, b"")
        assert [path.name for path in files.list(tmp_path / "here")] == ["a", "b", "c"]

    def test_publishing_moves_a_folder_once(self, tmp_path: Path) -> None:
        files = self.make()
        target = tmp_path / "versions" / "v"
        for turn in (1, 2):
            files.write(tmp_path / "building" / "deep" / "file", b"%d" % turn)
            if turn == 1:
                files.publish(tmp_path / "building", target)
        with pytest.raises(Conflict):
            files.publish(tmp_path / "building", target)
        assert files.read(target / "deep" / "file") == b"1"

    def test_removing_takes_files_and_folders(self, tmp_path: Path) -> None:
        files = self.make()
        files.write(tmp_path / "a" / "b" / "c", b"")
        files.write(tmp_path / "d", b"")
        files.remove(tmp_path / "a")
        files.remove(tmp_path / "d")
        assert files.list(tmp_path) == []
