"""A small HTTP server on the metrics port: /metrics, /livez and /readyz."""

from collections.abc import Callable, Mapping, Sequence

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from schemas.errors import InvalidInput

Check = Callable[[], Sequence[str]]
"""Returns why something is not ready; nothing when it is."""

_UNAVAILABLE = 503


class HealthServer:
    """Answers monitoring. Anything else is 404.

    Args:
        host: Address to listen on.
        port: Port; 0: none, the server does nothing.
        registry: The metrics.
        checks: What has to be well for us to be ready, by name.
    """

    def __init__(self, host: str, port: int, *, registry: CollectorRegistry, checks: Mapping[str, Check]) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        self._checks = checks
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            InvalidInput: If the port is taken or may not be used.
        """
        if not self._port:
            return
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._live)
        app.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            problem = f"metrics_port: cannot listen on {self._host}:{self._port} ({error.strerror}); set another, or 0"
            raise InvalidInput([problem]) from error

    async def stop(self) -> None:
        """Listen no longer."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})

    async def _live(self, _request: web.Request) -> web.Response:
        return _json(200, {"live": True})

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = [f"{name}: {problem}" for name, check in self._checks.items() for problem in check()]
        return _json(_UNAVAILABLE if problems else 200, {"ready": not problems, "problems": problems})


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
