"""A card, open for writing by this process alone.

Every read and write goes past the page cache: what is read back comes from the card, and not from memory.
"""

import ctypes
import errno
import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISBLK, S_ISREG

from deploy.errors import BoardllamaError
from deploy.flash.display_text import size_text
from deploy.formats.spans import IO_BLOCK, Span

# ioctl numbers of linux/fs.h, and modes of linux/falloc.h.
BLKRRPART, BLKDISCARD, BLKGETSIZE64 = 0x125F, 0x1277, 0x80081272
KEEP_SIZE, PUNCH_HOLE = 1, 2
DISCARD_STEP = 1 << 30  # bytes at once: Ctrl-C is heard between two steps
CARD_SECTOR = 512  # bytes: nothing smaller can be written past the page cache, and partition tables of images count so
FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)
GONE_ERRORS = (errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM)
TRY_AGAIN = "Put it in again and run the same command"


class CardError(BoardllamaError):
    """The card failed, or was pulled out."""


class Interrupted(Exception):
    """Somebody has ended the run, by Ctrl-C or a signal."""


@dataclass
class Card:
    """An open disk or file of `size` bytes.

    `written` counts the bytes that were written. `stop` ends the run at the next read or write. `may_boot` is true
    until the boot sectors of the card were erased and have read back as zero.
    """

    name: str
    descriptor: int
    size: int
    stop: threading.Event = field(default_factory=threading.Event)
    written: int = 0
    may_boot: bool = True

    @property
    def whole_span(self) -> Span:
        return Span(0, self.size)

    @property
    def end_of_blocks(self) -> int:
        """Where the last whole block ends, in bytes."""
        return self.size // IO_BLOCK * IO_BLOCK

    def clip(self, span: Span) -> Span:
        """The part of the span that lies on the card. The last block of an odd disk is a short one."""
        return span.overlap_with(self.whole_span)

    def read(self, view: memoryview, offset: int) -> None:
        """Fills the view with the bytes from `offset` on. Raises CardError, Interrupted."""
        done = 0
        while done < len(view):
            self.raise_if_stopped()
            try:
                count = os.preadv(self.descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise self.explain_failure("read", offset + done, error) from error
            if not count:
                raise self.explain_failure("read", offset + done, OSError(errno.EIO, "it ends there"))
            done += count

    def write(self, view: memoryview, offset: int) -> None:
        """Writes the whole view at `offset`, in bytes. Raises CardError, Interrupted.

        Raises BoardllamaError where the disk under a file is full.
        """
        done = 0
        while done < len(view):
            self.raise_if_stopped()
            try:
                count = os.pwritev(self.descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise self.explain_failure("written", offset + done, error) from error
            done += count
            self.written += count

    def sync(self) -> None:
        """Returns when the card says that everything is written. Raises CardError, Interrupted."""
        self.raise_if_stopped()
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise self.explain_failure("brought to rest", self.size, error) from error

    def punch(self, span: Span) -> bool:
        """Makes the span zero without writing. False where the kernel does not vouch for zeros.

        Raises CardError when the card is gone, Interrupted.
        """
        self.raise_if_stopped()
        libc = ctypes.CDLL(None, use_errno=True)
        offset, length = ctypes.c_int64(span.start), ctypes.c_int64(span.size)
        if libc.fallocate(self.descriptor, KEEP_SIZE | PUNCH_HOLE, offset, length) == 0:
            return True
        if (number := ctypes.get_errno()) in GONE_ERRORS:
            raise self.explain_failure("cleared", span.start, OSError(number, os.strerror(number)))
        return False

    def discard(self, span: Span, answered: Callable[[], object]) -> None:
        """Tells the card that nothing in the span is needed. Many cards and readers do not listen: expect nothing.

        `answered` is called after every DISCARD_STEP, because some cards really erase, and take their time. Raises
        CardError when the card is gone, Interrupted.
        """
        for part in span.split(DISCARD_STEP):
            self.raise_if_stopped()
            try:
                fcntl.ioctl(self.descriptor, BLKDISCARD, struct.pack("QQ", part.start, part.size))
            except OSError as error:
                if error.errno in GONE_ERRORS:
                    raise self.explain_failure("cleared", part.start, error) from error
                return
            answered()

    def raise_if_stopped(self) -> None:
        """Raises Interrupted when the run has been ended."""
        if self.stop.is_set():
            raise Interrupted

    def explain_failure(self, action: str, offset: int, error: OSError) -> BoardllamaError:
        """What to raise for an OSError at `offset`: the card is gone, or bad, or the disk under a file is full.

        `action` is a participle, such as written.
        """
        if error.errno in FULL_ERRORS and S_ISREG(os.fstat(self.descriptor).st_mode):
            return BoardllamaError(f"the disk that {self.name} lies on is full ({error.strerror}): make room")
        if error.errno in GONE_ERRORS or self.is_gone():
            return CardError(f"{self.name} was pulled out, or its reader gave up. {TRY_AGAIN}")
        return CardError(
            f"{self.name} cannot be {action} at {size_text(offset)} of {size_text(self.size)} ({error.strerror}). "
            f"Was it pulled out? {TRY_AGAIN}. Else it is worn or broken, or its reader is: use another"
        )

    def is_gone(self) -> bool:
        """True when the kernel sees no medium any more."""
        try:
            return descriptor_size(self.descriptor) == 0
        except OSError:
            return True


def descriptor_size(descriptor: int) -> int:
    """Bytes of an open disk or file. Raises OSError."""
    found = os.fstat(descriptor)
    if not S_ISBLK(found.st_mode):
        return found.st_size
    return int(struct.unpack("Q", fcntl.ioctl(descriptor, BLKGETSIZE64, bytes(8)))[0])


@contextmanager
def open_card(path: Path, stop: threading.Event | None = None) -> Iterator[Card]:
    """The disk, for this process alone. Raises BoardllamaError when it cannot be opened.

    The kernel opens no disk of which anything is mounted or part of something larger, and mounts nothing of a disk
    that is open here.
    """
    descriptor = open_exclusively(path)
    try:
        with suppress(OSError):  # systemd's rule for programs that write to a disk: udev leaves a locked disk alone
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Card(str(path), descriptor, descriptor_size(descriptor), stop or threading.Event())
        with suppress(OSError):  # the kernel still knows the partitions that were there before
            fcntl.ioctl(descriptor, BLKRRPART)
    finally:
        os.close(descriptor)


def open_exclusively(path: Path) -> int:
    """A descriptor of the disk. Raises BoardllamaError, which says what to do."""
    try:
        return os.open(path, os.O_RDWR | os.O_EXCL | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        advice = OPEN_ADVICE.get(error.errno or 0, "")
        raise BoardllamaError(f"{path} cannot be opened: {error.strerror}{advice}") from None


OPEN_ADVICE = {
    errno.EBUSY: ": something on it is in use: unmount it, or close the other program that writes to it",
    errno.EACCES: ": only root may write to disks: run it with sudo",
    errno.EPERM: ": only root may write to disks: run it with sudo",
    errno.EROFS: ": it is write-protected: move the lock on the side of the card, or use another",
    errno.ENOMEDIUM: ": there is no card in the reader",
}


@contextmanager
def open_card_file(path: Path, size: int, stop: threading.Event | None = None) -> Iterator[Card]:
    """A regular file in place of a card, made at least `size` bytes long, in whole sectors. Raises BoardllamaError."""
    try:
        descriptor = open_direct(path)
    except OSError as error:
        raise BoardllamaError(f"{path} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lengthen_file(path, descriptor, size)
        yield Card(str(path), descriptor, descriptor_size(descriptor), stop or threading.Event())
    except BlockingIOError:
        raise BoardllamaError(f"{path} is being written to by another program: wait for it") from None
    finally:
        os.close(descriptor)


def lengthen_file(path: Path, descriptor: int, size: int) -> None:
    """Makes the file at least `size` bytes long, in whole sectors.

    Raises BoardllamaError where no file may be so long, as on FAT beyond 4 GiB.
    """
    wanted = max(size, -(-descriptor_size(descriptor) // CARD_SECTOR) * CARD_SECTOR)
    try:
        if descriptor_size(descriptor) < wanted:
            os.ftruncate(descriptor, wanted)
    except OSError as error:
        raise BoardllamaError(f"{path} cannot have {size_text(size)} ({error.strerror}): name another place") from None


def open_direct(path: Path) -> int:
    """A descriptor for reads and writes past the page cache, as far as the file system can do that. Raises OSError.

    A new file is its owner's alone: it may get keys and passwords.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_DIRECT, 0o600)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(path, flags, 0o600)
