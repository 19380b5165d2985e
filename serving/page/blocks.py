"""The page itself: what is where, and which click does what."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.page import words
from serving.page.controls import Control
from serving.page.handlers import Handlers

if TYPE_CHECKING:
    import gradio as gr

TITLE = "Customer retention"
_INTRO = (
    f'<div class="churn-title"><h1>{TITLE}</h1>'
    "<p>See how likely a customer is to leave and why, try what could keep them, and find whom to call first.</p></div>"
)
_NO_NUMBER = "No customer number at hand? The tab “Most at risk” lists whom to call first."
_CUSTOMER, _LIST, _HEALTH = "customer", "list", "health"
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
"""Nothing here is an address for other programs: the API is."""


@dataclass(frozen=True)
class _Customer:
    """The components of the tab with one customer."""

    number: "gr.Textbox"
    search: "gr.Button"
    message: "gr.HTML"
    found: "gr.State"
    result: "gr.Column"
    risk: "gr.HTML"
    reasons: "gr.HTML"
    facts: "gr.HTML"
    inputs: "tuple[gr.components.Component, ...]"
    attempt: "gr.Button"
    reset: "gr.Button"
    effect: "gr.HTML"

    @property
    def outputs(self) -> "list[gr.blocks.Block]":
        """What a look-up fills in."""
        return [self.found, self.message, self.result, self.risk, self.reasons, self.facts, self.effect, *self.inputs]


def build(handlers: Handlers, needs_key: bool) -> "gr.Blocks":
    """The page.

    Args:
        handlers: what clicks do.
        needs_key: whether visitors sign in with an API key.
    """
    import gradio as gr

    page: gr.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86_400)) as page:
        gr.HTML(_INTRO)
        key = gr.State(None)
        with gr.Column(visible=needs_key) as gate:
            given = gr.Textbox(label="Access key", type="password", max_lines=1, info="Your data team hands it out.", elem_id="key")
            enter = gr.Button("Sign in", variant="primary", elem_id="sign-in")
            refused = gr.HTML(elem_id="refused")
        with gr.Column(visible=not needs_key) as inside, gr.Tabs() as tabs:
            with gr.Tab("One customer", id=_CUSTOMER):
                customer = _customer_tab(handlers.controls)
            with gr.Tab("Most at risk", id=_LIST) as at_risk:
                with gr.Row(elem_classes="churn-head-row"):
                    summary = gr.HTML(elem_id="summary")
                    download = gr.DownloadButton(
                        "Download the list (CSV)", visible=False, scale=0, min_width=240, size="md", elem_id="download"
                    )
                table = _table()
            with gr.Tab("Data and model health", id=_HEALTH) as health:
                verdict = gr.HTML(elem_id="verdict")

        def sign_in(text: str) -> list[Any]:
            if not handlers.may_enter(text):
                return [None, gr.update(), gr.update(), words.notice("This key is not known here.", "warning")]
            return [text, gr.update(visible=False), gr.update(visible=True), ""]

        entered = gr.on([enter.click, given.submit], sign_in, given, [key, gate, inside, refused], trigger_mode="always_last", **_PRIVATE)
        _wire_customer(handlers, customer, key)
        # Filled when the page opens, and anew whenever a tab is chosen.
        gr.on([page.load, health.select], handlers.health, key, verdict, **_PRIVATE)
        entered.then(handlers.health, key, verdict, **_PRIVATE)
        fill, filled = _list_filler(handlers), [summary, table, download]
        gr.on([page.load, at_risk.select], fill, key, filled, **_PRIVATE)
        entered.then(fill, key, filled, **_PRIVATE)
        _wire_choice(handlers, table, key, customer, tabs)
    return page


def _customer_tab(known: tuple[Control, ...]) -> _Customer:
    import gradio as gr

    with gr.Row(equal_height=True, elem_classes="churn-search"):
        number = gr.Textbox(
            label="Customer number", placeholder="As it is in your records", max_lines=1, max_length=200, scale=4, elem_id="number"
        )
        search = gr.Button("Look up", variant="primary", scale=1, min_width=140, elem_id="look-up")
    message = gr.HTML(words.notice(_NO_NUMBER), elem_id="message")
    with gr.Column(visible=False) as result:
        with gr.Row(equal_height=True):
            risk, reasons = gr.HTML(elem_id="risk"), gr.HTML(elem_id="reasons")
        facts = gr.HTML(elem_id="facts")
        inputs, attempt, reset = _what_if(known)
        effect = gr.HTML(elem_id="effect")
    return _Customer(number, search, message, gr.State(None), result, risk, reasons, facts, inputs, attempt, reset, effect)


def _what_if(known: tuple[Control, ...]) -> "tuple[tuple[gr.components.Component, ...], gr.Button, gr.Button]":
    import gradio as gr

    hint = "Change what you could offer, and see what it would do to the risk."
    if not known:
        hint = "Nothing about a customer is declared as something that you can change."
    gr.HTML(f'<div class="churn-section"><h3>What could keep this customer?</h3><p>{hint}</p></div>')
    with gr.Row(elem_classes="churn-controls"):
        inputs = tuple(_input(control) for control in known)
    with gr.Row():
        attempt = gr.Button("See the effect", variant="primary", visible=bool(known), scale=0, min_width=200, elem_id="attempt")
        reset = gr.Button("Back to how it is", visible=bool(known), scale=0, min_width=200, elem_id="reset")
    return inputs, attempt, reset


def _input(control: Control) -> "gr.components.Component":
    import gradio as gr

    common: dict[str, Any] = {"label": control.label, "elem_id": f"try-{control.column}", "min_width": 160, "interactive": True}
    if control.kind == "number":
        return gr.Number(minimum=control.minimum, maximum=control.maximum, precision=0 if control.whole else None, **common)
    if control.kind == "yes-no":
        return gr.Radio(list(control.options), **common)
    return gr.Dropdown(list(control.options), allow_custom_value=control.open, value=None, **common)


def _table() -> "gr.Dataframe":
    import gradio as gr

    return gr.Dataframe(
        headers=words.LIST_HEADINGS,
        datatype="str",
        interactive=False,
        wrap=True,
        visible=False,
        max_height=640,
        buttons=[],
        column_widths=["6%", "12%", "10%", "10%", "21%", "21%", "20%"],
        elem_id="most-at-risk",
    )


def _wire_customer(handlers: Handlers, customer: _Customer, key: "gr.State") -> None:
    import gradio as gr

    def look_up(number: str, given: str | None) -> list[Any]:
        return _looked_up(handlers, handlers.look_up(number, given))

    def attempt(found: dict[str, Any] | None, given: str | None, *now: Any) -> str:
        return handlers.try_changes(found, now, given)

    def reset(found: dict[str, Any] | None) -> list[Any]:
        before = (found or {}).get("before", {})
        return ["", *(gr.update(value=before.get(control.column)) for control in handlers.controls)]

    gr.on([customer.search.click, customer.number.submit], look_up, [customer.number, key], customer.outputs, **_PRIVATE)
    customer.attempt.click(attempt, [customer.found, key, *customer.inputs], customer.effect, **_PRIVATE)
    customer.reset.click(reset, customer.found, [customer.effect, *customer.inputs], **_PRIVATE)


def _looked_up(handlers: Handlers, found: dict[str, Any]) -> list[Any]:
    """A look-up as updates of `_Customer.outputs`."""
    import gradio as gr

    if "id" not in found:
        return [None, found["message"], gr.update(visible=False), *[gr.update()] * 3, "", *[gr.update()] * len(handlers.controls)]
    values = [_update(control, found["before"]) for control in handlers.controls]
    return [found, "", gr.update(visible=True), found["risk"], found["reasons"], found["facts"], "", *values]


def _update(control: Control, before: dict[str, Any]) -> Any:
    import gradio as gr

    if control.column not in before:  # not a feature of the model in service
        return gr.update(value=None, interactive=False)
    shown = before[control.column]
    options: dict[str, Any] = {} if control.kind == "number" else {"choices": control.options_with(shown)}
    return gr.update(value=shown, interactive=True, **options)


def _list_filler(handlers: Handlers) -> Callable[[str | None], list[Any]]:
    import gradio as gr

    def fill(given: str | None) -> list[Any]:
        message, rows, file = handlers.most_at_risk(given)
        return [message, gr.update(value=rows, visible=bool(rows)), gr.update(value=file, visible=bool(rows))]

    return fill


def _wire_choice(handlers: Handlers, table: "gr.Dataframe", key: "gr.State", customer: _Customer, tabs: "gr.Tabs") -> None:
    import gradio as gr

    def choose(given: str | None, event: gr.SelectData) -> list[Any]:
        number = str(event.row_value[1])
        return [gr.update(selected=_CUSTOMER), number, *_looked_up(handlers, handlers.look_up(number, given))]

    table.select(choose, key, [tabs, customer.number, *customer.outputs], **_PRIVATE)
