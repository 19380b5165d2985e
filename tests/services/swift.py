"""OpenStack Swift on loopback as an S3 object store: `python -m tests.services.swift FOLDER PORT ACCOUNT:USER SECRET`.

Needs neither root nor /etc/swift, and keeps its data in FOLDER. The access key is ACCOUNT:USER, the region us-east-1,
addresses are path-style. Ends with its four servers.
"""

import ctypes
import os
import pwd
import signal
import socket
import sys
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path

STORAGE = ("object", "container", "account")
PIPELINE = "catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server"
PR_SET_PDEATHSIG = 1
OPTIONS = {
    "bulk": "max_deletes_per_request = 10000",
    "s3api": "location = us-east-1\nstorage_domain = localhost\nmax_upload_part_num = 10000",
    "versioned_writes": "allow_versioned_writes = true\nallow_object_versioning = true",
}


def main(folder: Path, port: int, key: str, secret: str) -> None:
    """Write the configuration, start the servers, and end with the first of them that ends."""
    ports = {name: _free_port() for name in STORAGE}
    conf = folder / "etc"
    for part in (conf, folder / "devices" / "d1", folder / "cache"):
        part.mkdir(parents=True, exist_ok=True)
    _configure(folder, {**ports, "proxy": port}, key, secret)
    _ring(conf, ports)
    fork = get_context("fork")
    servers = [fork.Process(target=_serve, args=(conf, name)) for name in (*STORAGE, "proxy")]
    for server in servers:
        server.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        wait([server.sentinel for server in servers])
    finally:
        for server in servers:
            server.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configure(folder: Path, ports: dict[str, int], key: str, secret: str) -> None:
    conf, me = folder / "etc", pwd.getpwuid(os.getuid()).pw_name
    common = f"""bind_ip = 127.0.0.1
workers = 0
user = {me}
swift_dir = {conf}
devices = {folder / "devices"}
recon_cache_path = {folder / "cache"}
mount_check = false
disable_fallocate = true
log_level = WARNING
"""
    (conf / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = only\ndefault = yes\n")
    for name in STORAGE:
        app = f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
        (conf / f"{name}.conf").write_text(f"[DEFAULT]\nbind_port = {ports[name]}\n{common}{app}")
    options = {**OPTIONS, "tempauth": f"user_{key.replace(':', '_')} = {secret} .admin"}
    filters = [f"[filter:{name}]\nuse = egg:swift#{name}\n{options.get(name, '')}\n" for name in PIPELINE.split()[:-1]]
    app = f"[pipeline:main]\npipeline = {PIPELINE}\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
    (conf / "proxy.conf").write_text(f"[DEFAULT]\nbind_port = {ports['proxy']}\n{common}{app}" + "".join(filters))


def _ring(conf: Path, ports: dict[str, int]) -> None:
    """One device for everything; the ports are new at every start."""
    _use(conf)
    from swift.common.ring import RingBuilder

    for name, port in ports.items():
        ring = RingBuilder(4, 1, 0)
        place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "device": "d1", "meta": "", **place})
        ring.rebalance()
        ring.get_ring().save(str(conf / f"{name}.ring.gz"))


def _use(conf: Path) -> None:
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"
    from swift.common import utils

    utils.SWIFT_CONF_FILE = str(conf / "swift.conf")


def _serve(conf: Path, name: str) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # Swift leaves the process group that the tests end
    _use(conf)
    import swift.common.storage_policy
    from swift.common.wsgi import run_wsgi

    swift.common.storage_policy.reload_storage_policies()
    sys.exit(run_wsgi(str(conf / f"{name}.conf"), f"{name}-server", verbose=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]), *sys.argv[3:5])
