"""What a command costs, from the operating system's own account of the finished process."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10
"""Peak memory is counted in bytes on macOS and in kilobytes on Linux."""


@dataclass(frozen=True)
class Cost:
    """CPU seconds (user and system, children included), wall seconds, and peak memory in megabytes."""

    cpu: float
    wall: float
    megabytes: float

    def __str__(self) -> str:
        """A line of a table."""
        return f"{self.cpu:7.1f} CPU s   {self.wall:7.1f} s   {self.megabytes:6.0f} MB"


def measure(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: with the command's output, if it fails.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - our own commands
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read()[-3000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / MEGABYTE)
