"""The API: churn predictions by customer id, from the champion and the feature store.

XGBoost imports scikit-learn, and with it pandas, where they are installed (6 CPU seconds and 130 MB), and does without
them where they are not. Nothing here needs them, so XGBoost is imported as if they were not, before anything else is.
"""

import sys


def _import_xgboost_alone() -> None:
    if "xgboost" in sys.modules or "sklearn" in sys.modules:
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]  # Python's documented way to make an import fail
    try:
        import xgboost  # noqa: F401
    finally:
        del sys.modules["sklearn"]


_import_xgboost_alone()
