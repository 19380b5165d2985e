"""The page's questions to the API, and what is said to people where there is no answer."""

from typing import Any

import httpx

from serving.web.auth import HEADER
from serving.web.schemas import MAX_REASONS

_SECONDS = 15.0
_LATER = "Please try again in a minute."
_TEXTS = {
    "unknown-customer": "There is no customer with this number. Check it, capital letters and dashes included.",
    "no-key": "Your access key is no longer valid. Reload the page and sign in again.",
    "wrong-key": "Your access key is no longer valid. Reload the page and sign in again.",
    "stale-features": "What is known of this customer is too old to judge by.",
    "unusable-features": "What is stored of this customer cannot be judged.",
    "feature-store-down": f"The customer data cannot be reached at the moment. {_LATER}",
    "features-missing": "What is stored of this customer is not complete.",
    "log-down": f"Predictions cannot be recorded at the moment, and none is made without a record. {_LATER}",
    "no-model": f"There is no prediction model in service yet. {_LATER}",
}
_OTHER = f"Something went wrong. {_LATER}"
_SILENT = f"The prediction service does not answer at the moment. {_LATER}"
_OWN_AFFAIR = ("unknown-customer", "no-key", "wrong-key", "invalid-request")
"""Kinds of errors that need nobody else's help."""


class NoAnswerError(Exception):
    """The API gave no prediction; the text is for people."""


class Api:
    """The API as the page sees it.

    Args:
        address: such as http://127.0.0.1:8000.
        labels: column -> the name shown to people, for messages about single columns.
    """

    def __init__(self, address: str, labels: dict[str, str]) -> None:
        # Proxies of the environment are for other hosts.
        self._client = httpx.Client(base_url=address, timeout=_SECONDS, trust_env=False)
        self._labels = labels

    def predict(self, customer_id: str, key: str | None) -> dict[str, Any]:
        """The prediction with a reason for every feature (at most 100), recorded as any other prediction.

        Raises:
            NoAnswerError: with what to tell people.
        """
        return self._ask("/predict", {"customer_id": customer_id, "reasons": MAX_REASONS}, key)

    def what_if(self, customer_id: str, changes: dict[str, Any], key: str | None) -> dict[str, Any]:
        """The prediction before and after changes, recorded as a what-if.

        Raises:
            NoAnswerError: with what to tell people.
        """
        return self._ask("/what-if", {"customer_id": customer_id, "changes": changes}, key)

    def _ask(self, path: str, body: dict[str, Any], key: str | None) -> dict[str, Any]:
        try:
            answer = self._client.post(path, json=body, headers={HEADER: key} if key else {})
            content = answer.json()
        except (httpx.HTTPError, ValueError):
            raise NoAnswerError(_SILENT) from None
        if answer.is_success:
            return dict(content)
        raise NoAnswerError(self._text(content))

    def _text(self, problem: dict[str, Any]) -> str:
        kind = str(problem.get("type", "")).rpartition(":")[2]
        if kind == "invalid-request":
            return " ".join(self._mistake(error) for error in problem.get("errors", ())) or _OTHER
        text = _TEXTS.get(kind, _OTHER)
        return text if kind in _OWN_AFFAIR else f"{text} If it stays so, give your data team this: {kind}, {problem.get('request_id', '')}."

    def _mistake(self, error: dict[str, str]) -> str:
        column = error["field"].removeprefix("changes.")
        return f"{self._labels.get(column, column)} {error['message']}."
