"""The student as a service on this machine: an API, and a page to classify on."""

from __future__ import annotations

import argparse
import ipaddress
import logging
from dataclasses import replace
from pathlib import Path

from stages.common.labels import Labels
from stages.correcting.config import Human
from stages.running.config import PARAMS, load, section
from stages.running.errors import run_stage
from stages.serving.app import create_app
from stages.serving.server import listen, serve
from stages.serving.settings import LOOPBACK, Settings

logger = logging.getLogger(__name__)


@section
class Params:
    """What this command reads of params.yaml."""

    labels: Labels
    human: Human


def main() -> None:
    """Serve until a signal comes, and answer what is open then."""
    parser = argparse.ArgumentParser(description="The student as a service: pages in a browser, an API for programs.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine)")
    parser.add_argument("--port", type=_port, default=8000, help="port; 0 is any free one (default: %(default)s)")
    parser.add_argument(
        "--model", type=Path, default=Path("data/student"), help="student's folder (default: %(default)s)"
    )
    parser.add_argument(
        "--index", type=Path, default=Settings.index, help="labelled examples of the student (default: %(default)s)"
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="host name by which browsers reach it, as behind a proxy; may be given several times",
    )
    parser.add_argument(
        "--batch-size", type=int, default=Settings.batch_size, help="reviews computed together (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.batch_size < 1:
        parser.error("--batch-size must be at least 1")
    # First what takes no time and may fail.
    listener = listen(arguments.host, arguments.port)
    here = _is_loopback(arguments.host)
    settings = Settings(
        model=arguments.model,
        index=arguments.index,
        hosts=(*LOOPBACK, arguments.host, *arguments.name) if here or arguments.name else ("*",),
        batch_size=arguments.batch_size,
    )
    # A student is served elsewhere too; people are asked where it was made.
    if PARAMS.exists():
        params = load(Params)
        settings = replace(settings, answers=Path(params.human.answers), categories=tuple(params.labels.names))
    app = create_app(settings)
    if not here:
        logger.warning(
            "whoever reaches %s may ask: there are no passwords here; see docs/serving.md for a proxy", arguments.host
        )
    host, port = listener.getsockname()[:2]
    logger.info("http://%s:%d serves %s; Ctrl-C ends it", f"[{host}]" if ":" in host else host, port, arguments.model)
    serve(app, listener)


def _port(given: str) -> int:
    port = int(given)
    if not 0 <= port < 2**16:
        raise ValueError(given)
    return port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    run_stage(main, "Nothing was stored.")
