"""Every file is written in one piece, for its owner alone, and trouble is told in plain words."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rebalancer.errors import StateError
from rebalancer.store.atomic import Files


class FullDisk(Files):
    def _write(self, path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def child(script: str, *arguments: str | Path) -> str:
    """Run Python of our own and return what it prints."""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        cwd="/",
        env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_is_written_is_read_back_and_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Files().replace(tmp_path / "a" / "b" / "file", b"one")
        Files().append(tmp_path / "a" / "log", b"two\n")
        Files().append(tmp_path / "a" / "log", b"three\n", durable=False)
    finally:
        os.umask(before)
    assert Files().read(tmp_path / "a" / "b" / "file") == b"one"
    assert Files().read(tmp_path / "a" / "log") == b"two\nthree\n"
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700, 0o700]
    assert [mode(tmp_path / "a" / "b" / "file"), mode(tmp_path / "a" / "log")] == [0o600, 0o600]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    Files().replace(tmp_path / "file", b"old")
    with pytest.raises(StateError, match=r"cannot write .*/file: the disk is full; free some"):
        FullDisk().replace(tmp_path / "file", b"a new one")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert Files().read(tmp_path / "file") == b"old"


def test_an_append_that_the_disk_cuts_short_is_taken_back(tmp_path: Path) -> None:
    # The system lets the file grow to 100 bytes: of the second 60 it takes 40, then refuses.
    said = child(
        """
        import resource, sys
        from pathlib import Path
        from rebalancer.errors import StateError
        from rebalancer.store.atomic import Files
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        Files().append(Path(sys.argv[1]), b"x" * 59 + b"\\n")
        try:
            Files().append(Path(sys.argv[1]), b"y" * 59 + b"\\n")
        except StateError as error:
            print(error)
        """,
        tmp_path / "log",
    )
    assert "cannot append to" in said
    assert (tmp_path / "log").read_bytes() == b"x" * 59 + b"\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_is_named_with_what_to_do() -> None:
    with pytest.raises(StateError, match="/dev/full: the disk is full"):
        Files().append(Path("/dev/full"), b"x", durable=False)


def test_a_folder_that_may_not_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    # The owner of the folder may do anything as root: a child without rights tries.
    place = tmp_path / "state"
    place.mkdir()
    for path in (place, *place.parents):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(mode(path) | 0o555)
    place.chmod(0o555)
    said = child(
        """
        import os, sys
        from pathlib import Path
        from rebalancer.errors import StateError
        from rebalancer.store.atomic import Files
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        for write in (Files().replace, Files().append):
            try:
                write(Path(sys.argv[1]) / "file", b"x")
            except StateError as error:
                print(error, error.exit_code)
        """,
        place,
    )
    assert said.count("permission denied; give the folder to the user that runs this") == 2
    assert list(place.iterdir()) == []


def test_trouble_is_an_os_error_too_for_rooms_that_know_no_state(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="there is no such file") as caught:
        Files().read(tmp_path / "nothing")
    assert caught.value.errno == errno.ENOENT
    assert isinstance(caught.value, StateError)


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    Files().replace(tmp_path / "state", b"")
    for action in (Files().make_folder, Files().exists):
        with pytest.raises(StateError, match="a file stands where a folder should be"):
            action(tmp_path / "state" / "demo")


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(StateError, match="symbolic link"):
        Files().append(tmp_path / "log", b"x")
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_a_listing_is_sorted_and_leaves_out_what_a_killed_write_left(tmp_path: Path) -> None:
    for name in ("b", "a", ".a.17.tmp"):
        (tmp_path / name).touch()
    assert Files().listing(tmp_path) == ("a", "b")
    assert Files().listing(tmp_path / "nothing") == ()


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    Files().replace(tmp_path / "file", b"x")
    Files().remove(tmp_path / "file")
    Files().remove(tmp_path / "file")
    assert not Files().exists(tmp_path / "file")
