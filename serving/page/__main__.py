"""The page's process: `python -m serving.page --api http://127.0.0.1:8000 --folder FOLDER`.

It says on stdout on which loopback port it answers, and ends when its stdin ends: with the API's process that started it.
Several workers of one API share a page (it keeps who has signed in): the first holds a lock in the folder, and where the
lock is held the process only says the holder's port.
"""

import argparse
import json
import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from serving.page import PATH

_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-src 'self'"
)
"""One file with its own scripts and plots in frames; nothing is loaded, from here or elsewhere."""
_WAIT_SECONDS, _LOOK_SECONDS = 120.0, 0.1
_LONGEST_QUEUE = 100
"""Clicks that wait for their turn; who comes then is told to try again."""


def main() -> None:
    """Serve the page, or say who does."""
    parser = argparse.ArgumentParser(prog="serving.page", description="The page at /demo, started by the API.")
    parser.add_argument("--api", required=True, help="address of the API")
    parser.add_argument("--folder", required=True, type=Path, help="for this process alone: lock and downloads")
    given = parser.parse_args()
    say = _keep_stdout_clean()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    given.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (given.folder / "lock").open("a+") as lock:
        if (port := _lock_or_port(lock)) is None:
            _serve(given.api, given.folder / "files", lock, say)
        else:
            _tell(say, port)


def _serve(api: str, files: Path, lock: IO[str], say: IO[str]) -> None:
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(mode=0o700)
    os.environ.update(GRADIO_TEMP_DIR=str(files), GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")
    import uvicorn

    app = _app(api, files)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = int(listening.getsockname()[1])
        lock.seek(0)
        lock.truncate()
        lock.write(str(port))
        lock.flush()
        _tell(say, port)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, proxy_headers=False)).run(sockets=[listening])


def _app(api: str, files: Path) -> Any:
    import gradio as gr
    from fastapi import FastAPI

    from churn import config
    from churn.io.files import places
    from serving.page.blocks import build
    from serving.page.client import Api
    from serving.page.handlers import Handlers
    from serving.settings import read_settings

    places.limit_waiting()
    configuration = config.load()
    settings = read_settings(configuration)
    labels = {feature.name: feature.label for feature in settings.declaration.features}
    handlers = Handlers(configuration, settings, Api(api, labels), files)
    page = build(handlers, bool(settings.keys))
    app = FastAPI(openapi_url=None)
    _add_report(app, handlers)
    return gr.mount_gradio_app(
        app,
        page.queue(default_concurrency_limit=8, max_size=_LONGEST_QUEUE, api_open=False),
        path=PATH,
        theme=_theme(),
        css_paths=Path(__file__).with_name("style.css"),
        footer_links=[],
        run_history=False,  # it would keep customers' data in the browser
        ssr_mode=False,
        enable_monitoring=False,
        max_file_size=0,
        show_error=False,
    )


def _add_report(app: Any, handlers: Any) -> None:
    """The monitoring report at its address, apart from the page: its scripts reach neither the visitor's session nor a network."""
    from starlette.responses import HTMLResponse, PlainTextResponse, Response

    from serving.page.handlers import REPORT

    def report(token: str) -> Response:
        found = handlers.report(token)
        if found is None:
            return PlainTextResponse("There is no such report. Open it from the page.", 404)
        return HTMLResponse(found, headers={"content-security-policy": _REPORT_POLICY, "cache-control": "no-store"})

    app.add_api_route(f"{PATH}/{REPORT}/{{token}}", report, response_class=Response)


def _theme() -> Any:
    """Quiet labels, and the visitor's own fonts: nothing is loaded for them."""
    import gradio as gr

    text, code = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    theme = gr.themes.Soft(primary_hue="indigo", neutral_hue="slate", font=text, font_mono=code)
    quiet = {"block_title_background_fill": "none", "block_title_text_color": "*body_text_color", "block_title_padding": "0"}
    return theme.set(**quiet, input_border_width="1px", input_border_color="*neutral_300")


def _keep_stdout_clean() -> IO[str]:
    """The given stdout, for the port alone; what libraries print goes to stderr."""
    say = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return say


def _tell(say: IO[str], port: int) -> None:
    with say:
        say.write(json.dumps({"port": port}) + "\n")


def _end_with_the_parent() -> None:
    """The pipe ends however the parent ends. At once: open pages hold streams that would be waited for."""
    sys.stdin.buffer.read()
    os._exit(0)


def _lock_or_port(lock: IO[str]) -> int | None:
    """None once this process holds the lock, which ends with it; else the port of the process that does."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock, nor several workers
        return None
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            if (found := lock.read()).isdigit():
                return int(found)
            time.sleep(_LOOK_SECONDS)
        else:
            lock.seek(0)
            lock.truncate()
            return None
    raise SystemExit(f"Another page has been starting for {_WAIT_SECONDS:g} s; see its log.")


if __name__ == "__main__":
    main()
