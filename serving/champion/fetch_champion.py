"""Fetch the champion from the registry and check it, in a process of its own: `python -m serving.champion.fetch_champion FOLDER`.

MLflow's imports stay out of the server's memory, and a damaged model that crashes XGBoost crashes this process only.
The last line of standard output is JSON: outcome (verified, absent, refused, unreachable), version, sha256, detail.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from churn.core.errors import ChurnError
from churn.core.modelling.model import ChurnModel
from churn.io.models import registry
from serving.champion import champion_files
from serving.champion.champion_files import Verified
from serving.champion.scorer import Scorer

VERIFIED, ABSENT, REFUSED, UNREACHABLE = "verified", "absent", "refused", "unreachable"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"


def fetch(root: Path) -> dict[str, Any]:
    """Load the champion, check it, and keep its files below `root`; the server notes it once it serves."""
    registry.connect(os.environ[TRACKING_VARIABLE])
    try:
        found = registry.load(registry.CHAMPION)
    except ChurnError as error:
        return {"outcome": REFUSED, "detail": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever MLflow and its store raise
        return {"outcome": UNREACHABLE, "detail": f"{type(error).__name__}: {error}"}
    if found is None:
        return {"outcome": ABSENT, "detail": f"no version of {registry.MODEL_NAME} is {registry.CHAMPION}"}
    champion = Verified(found.version, found.tags[registry.MODEL_SHA256])
    about = {"version": champion.version, "sha256": champion.sha256}
    try:
        check(Scorer(found.model))
        keep(root, found.model, champion)
    except ChurnError as error:
        return {"outcome": REFUSED, "detail": str(error), **about}
    except OSError as error:
        return {"outcome": REFUSED, "detail": f"its files cannot be kept in {root}: {error}", **about}
    return {"outcome": VERIFIED, "detail": "", **about}


def check(scorer: Scorer) -> None:
    """Score the golden rows.

    Raises:
        ChurnError: if a score is not the one the model was registered with.
    """
    difference = scorer.golden_difference()
    if not difference == 0:  # not a number is a difference too
        raise ChurnError(f"The golden rows score otherwise than when the model was made (by up to {difference:g}).")


def keep(root: Path, model: ChurnModel, champion: Verified) -> None:
    """Write the files, and read them back against the hash. Another worker's child may do the same at this moment."""
    target = champion_files.model_folder(root, champion.sha256)
    if not _sound(target, champion.sha256):
        part = target.with_name(f".{champion.sha256}.{os.getpid()}")
        try:
            model.save(part)
            ChurnModel.load(part, champion.sha256)
            shutil.rmtree(target, ignore_errors=True)
            part.replace(target)
        except OSError:
            if not _sound(target, champion.sha256):  # else the other one was faster
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _sound(folder: Path, sha256: str) -> bool:
    try:
        ChurnModel.load(folder, sha256)
    except ChurnError:
        return False
    return True


def main() -> None:
    """Print what came of it."""
    print(json.dumps(fetch(Path(sys.argv[1]))))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
