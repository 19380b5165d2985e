"""Fetch IBM's public telco churn table, the real one that the sample table imitates."""

import hashlib
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from churn.core.errors import ChurnError
from churn.io.files.places import Location, is_file, partial, remove
from churn.io.files.places import sha256 as sha256_of
from churn.io.files.streams import replace_sample, require_replaceable

TELCO_URL = (
    "https://raw.githubusercontent.com/IBM/telco-customer-churn-on-icp4d"
    "/d5371f5d83a446ad5673cbcca3b814b926491f8a/data/Telco-Customer-Churn.csv"
)
"""Pinned to a commit; Apache-2.0."""
TELCO_SHA256 = "16320c9c1ec72448db59aa0a26a0b95401046bef5d02fd3aeb906448e3055e91"
TIMEOUT_SECONDS = 30
_PIECE = 1 << 16
_OFFLINE = "Without a network, `kedro run --pipelines sample_data` writes a sample table instead. Nothing was written."


def fetch_telco(destination: Location, note: Location, url: str = TELCO_URL, sha256: str = TELCO_SHA256) -> bool:
    """Download the table to `destination`; whether anything was downloaded (False: it was there already).

    Takes the place of nothing or of the generated sample that `note` describes.
    The bytes go to a temporary file and are moved only if their hash is `sha256`.

    Raises:
        ChurnError: another file is in the place, the server cannot be reached or does not have the
            table, or what came is not the table. The place is then as it was.
    """
    if is_file(destination) and sha256_of(destination) == sha256:
        return False
    if not str(destination).endswith(".csv"):
        raise ChurnError(
            f"The table is a CSV file and cannot become {destination}: let `raw_customers` in conf/base/globals.yml end in .csv."
        )
    require_replaceable(destination, note)
    with partial(destination) as temporary:
        found = _save(url, temporary)
        if found != sha256:
            raise ChurnError(
                f"What {url} sent is not the telco table: its sha256 is {found}, expected {sha256}. "
                f"{destination} is unchanged. A proxy or a mirror may have answered with something else: open the address in a browser."
            )
        replace_sample(destination, note, {temporary: destination})
    remove(note)
    return True


def _save(url: str, target: Path) -> str:
    """Write what `url` sends to `target`, piece by piece; its sha256."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for piece in _pieces(url):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _pieces(url: str) -> Iterator[bytes]:
    """The body of `url`; a generator, so that only the network's own errors are taken for the network's."""
    if not url.startswith(("https://", "http://")):
        raise ChurnError(f"The table is fetched by http or https, not from {url}.")
    received = 0
    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  # the scheme was checked above
            while piece := response.read(_PIECE):
                received += len(piece)
                yield piece
            declared = int(response.headers.get("Content-Length") or received)
    except HTTPError as error:
        raise ChurnError(f"{url} answered {error.code} {error.reason}. Check the address, or fetch from a mirror. {_OFFLINE}") from error
    except (OSError, HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        raise ChurnError(
            f"{url} could not be fetched: {reason}. Check the network and its proxy settings (https_proxy). {_OFFLINE}"
        ) from error
    if received < declared:
        raise ChurnError(f"{url} broke off after {received:,} of {declared:,} bytes. Nothing was written. Try again.")
