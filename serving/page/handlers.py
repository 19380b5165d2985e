"""What happens on the page when somebody clicks: plain values in, plain values out, no Gradio."""

import logging
import secrets
from pathlib import Path
from typing import Any

from churn.config import Config
from serving.page import PATH, controls, reports, words
from serving.page.client import Api, NoAnswerError
from serving.settings import Settings

_log = logging.getLogger(__name__)
REPORT = "report"
"""Below it the report has an address that cannot be guessed: a link cannot carry a key. It is shown to visitors who may enter."""
LISTED = 50
"""Rows of the list that are shown; the download has all."""
_SIGN_IN = "Sign in first: this page needs an access key."
_NO_LIST = "There is no list yet. Your data team makes it with this command: kedro run --pipelines scoring."


class Handlers:
    """One method for each thing that can be done on the page.

    Args:
        config: of the environment.
        settings: of the API, in the same environment.
        api: where predictions come from.
        folder: of this process alone, for downloads.
    """

    def __init__(self, config: Config, settings: Settings, api: Api, folder: Path) -> None:
        self._config, self._api, self._folder, self._keys = config, api, folder, settings.keys
        self._token = secrets.token_urlsafe(24)
        self.controls = controls.controls(settings.declaration)
        self._features = {feature.name: feature for feature in settings.declaration.features}

    def may_enter(self, key: str | None) -> bool:
        """Whether a key opens the page: the same that open the predictions."""
        return self._keys.allow(key, "predict")

    def look_up(self, customer_id: str, key: str | None) -> dict[str, Any]:
        """`message`; and if the customer is known `id`, `risk`, `reasons`, `facts`, and `before`: what each control holds."""
        asked = (customer_id or "").strip()
        if not asked:
            return {"message": words.notice("Type a customer number first.", "warning")}
        try:
            answer = self._api.predict(asked, key)
        except NoAnswerError as error:
            return {"message": words.notice(str(error), "warning")}
        values = {reason["feature"]: reason["value"] for reason in answer["reasons"]}
        return {
            "message": "",
            "id": answer["customer_id"],
            "risk": words.risk(answer),
            "reasons": words.reasons(self._features, answer),
            "facts": words.facts(self._features, values),
            "before": {control.column: control.shown(values[control.column]) for control in self.controls if control.column in values},
        }

    def try_changes(self, found: dict[str, Any] | None, now: tuple[Any, ...], key: str | None) -> str:
        """The effect of what the controls hold now, as HTML.

        Args:
            found: what `look_up` has answered.
            now: what each control holds.
            key: the visitor's.
        """
        if not found:
            return words.notice("Look a customer up first.", "warning")
        changed = controls.changes(self.controls, found["before"], now)
        if not changed:
            return words.notice("Nothing is changed yet: choose another value above.")
        try:
            return words.effect(self._features, self._api.what_if(found["id"], changed, key))
        except NoAnswerError as error:
            return words.notice(str(error), "warning")

    def most_at_risk(self, key: str | None) -> tuple[str, list[list[Any]], str | None]:
        """A message, the first rows of the list, and the file with all of them if there is a list."""
        if not self.may_enter(key):
            return words.notice(_SIGN_IN, "warning"), [], None
        try:
            rows, count = reports.top_rows(self._config, LISTED)
            file = reports.write_csv(self._config, self._folder)
        except FileNotFoundError:
            return words.notice(_NO_LIST), [], None
        except Exception:  # noqa: BLE001 - whatever a file system or a broken file raises; logged
            _log.exception("The retention list cannot be read")
            return words.notice("The list cannot be read at the moment. Please tell your data team.", "warning"), [], None
        return words.list_summary(rows, count), words.listed(rows), str(file)

    def health(self, key: str | None) -> str:
        """The last verdict of the monitoring, as HTML."""
        if not self.may_enter(key):
            return words.notice(_SIGN_IN, "warning")
        return words.health(reports.last_verdict(self._config), f"{PATH}/{REPORT}/{self._token}")

    def report(self, token: str) -> bytes | None:
        """The last report of the monitoring, for whoever was given its address; None for others, or if there is none."""
        return reports.last_report(self._config) if secrets.compare_digest(token.encode(), self._token.encode()) else None
