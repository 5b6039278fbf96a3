"""The process around the service: its port, and an end that leaves nobody without an answer."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from stages.running.errors import ConfigError
from stages.running.interruption import ENDING

logger = logging.getLogger(__name__)

# Seconds that open requests have to be answered in, once the service is told to end.
GRACE = 30


def listen(host: str, port: int) -> socket.socket:
    """A socket that clients can connect to from now on; they wait until it is served.

    Raises:
        ConfigError: another process listens there, or `host` is no address of this machine.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family)
        # Of connections that ended a moment ago the system still knows.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        return listener
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({error.strerror}): end what listens there, or name another --port "
            "or --host"
        ) from error


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve `app` until SIGTERM or Ctrl-C, and then until what was asked is answered, `GRACE` seconds at most."""
    # A request's line in a log has the review in it, where it is asked by GET.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        lifespan="on",
        ws="none",
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    _Server(config).run(sockets=[listener])
    logger.info("every request is answered; the service has ended")


class _Server(uvicorn.Server):
    """A signal ends it as it is meant to end: the process goes on to its end, with code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Commands are ended some seconds after a signal (`common.interruption`); a batch may take longer.
        watch = signal.set_wakeup_fd(-1)
        before = {number: signal.getsignal(number) for number in ENDING}
        for number, handler in before.items():
            # Of a job in the background, for which Ctrl-C is not meant.
            if handler is not signal.SIG_IGN:
                signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(watch)
