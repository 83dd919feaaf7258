"""File digests, computed once for each content."""

from __future__ import annotations

import os
import time
from stat import S_ISREG

from doit import dependency

from .statuses import Status, Statuses, condensed

RACY_NS = 50_000_000


Digest = tuple[int, int, int, str, str]
"""The marks by which a file is known to be the same: size, mtime in ns, inode; its MD5; its path.

A plain row of the state, as of a hundred thousand files naming the fields takes as long as asking
for them.
"""


class DigestCache:
    """MD5 digests by path, valid while size, modification time and inode stay the same.

    Attributes
    ----------
    known : dict of str to Digest
        Every digest, by path.
    fresh : set of str
        The paths whose digests are not yet stored.
    """

    def __init__(self) -> None:
        self.known: dict[str, Digest] = {}
        self.fresh: set[str] = set()
        self._unasked: set[str] = set()

    def md5(self, path: str, found: Status, *, store: bool = True) -> str:
        """The MD5 of `path`, whose status is `found`; read from disk only when it may be new.

        Without `store` it is stored only once it is asked for again: of most targets nobody asks.

        A file written in the last 50 ms may change again without a new time stamp: its digest is
        returned, but not kept. Nor is that of a file from the future (the clock was set back, or
        a file server's is ahead), for which nobody knows when that was. What is no file has
        none, and is not read: a pipe may never end.
        """
        size, mtime_ns, _, inode, mode = found
        if not S_ISREG(mode):
            return ""
        digest = self.known.get(path)
        if (
            digest is not None
            and digest[0] == size
            and digest[1] == mtime_ns
            and digest[2] == inode
        ):
            if store and path in self._unasked:
                self._unasked.remove(path)
                self.fresh.add(path)
            return digest[3]
        settled = time.time_ns() - mtime_ns > RACY_NS
        try:
            md5 = str(dependency.get_file_md5(path))
        except OSError as error:
            error.filename = path  # the system names a file that it opens, and none that it reads
            raise
        if settled:
            self.known[path] = (size, mtime_ns, inode, md5, path)
            (self.fresh if store else self._unasked).add(path)
        return md5


class MD5Checker(dependency.MD5Checker):  # the name is stored: doit's own checker can go on
    """doit's MD5 check, with digests shared by tasks and runs.

    The stored state is doit's own ``[mtime, size, md5]``.
    """

    def __init__(self) -> None:
        self.digests = DigestCache()
        self.statuses = Statuses()

    def exists(self, file_path: str) -> bool:
        """Whether there is anything at the path."""
        return self.statuses.exists(file_path)

    def info(self, file_path: str) -> Status:
        """The status of the file."""
        return self.statuses.of(file_path)

    def check_modified(
        self, file_path: str, file_stat: Status, state: tuple[float, int, str]
    ) -> bool:
        """Whether the content of the file differs from `state`."""
        _, size, md5 = state
        return file_stat[0] != size or self.digests.md5(file_path, file_stat) != md5

    def get_state(self, dep: str, current_state: object) -> tuple[float, int, str]:
        """The state to store for file `dep`."""
        found = os.stat(dep)  # noqa: PTH116
        return found.st_mtime, found.st_size, self.digests.md5(dep, condensed(found))
