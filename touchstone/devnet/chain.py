"""JSON-RPC in front of the development chain, so that the network's processes are on one chain without a node."""

from __future__ import annotations

import json
import threading
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from rollup.l1.node.development import DevelopmentChain, RpcError
from rollup.service.health import Health
from rollup.service.loop import Loop
from rollup.service.server import Server
from rollup.service.web import WebLimits, create_app, serve

BATCH_AT_MOST = 200
"""Requests in one batch."""

LIMITS = WebLimits(body_bytes=2 << 20, per_second=100_000.0, burst=100_000, concurrent_per_caller=64)
"""Of a chain that only the processes of one machine use: what one transaction may be, but no rate."""

STEP_SECONDS = 0.05


class Gate:
    """Lets one request, or the next block, at a time at the chain."""

    def __init__(self, chain: DevelopmentChain) -> None:
        self._chain, self._lock = chain, threading.Lock()

    def step(self) -> bool:
        with self._lock:
            return self._chain.step()

    def answer(self, content: bytes) -> Any:
        """The answer to a request or a batch of them, in JSON-RPC's form; None to one that wants none."""
        try:
            asked = json.loads(content)
        except (ValueError, RecursionError):
            return _failed(None, RpcError(-32700, "the body is no JSON"))
        if not isinstance(asked, list):
            return self._one(asked)
        if not 1 <= len(asked) <= BATCH_AT_MOST:
            return _failed(None, RpcError(-32600, f"a batch has 1 to {BATCH_AT_MOST} requests"))
        return [answer for answer in map(self._one, asked) if answer is not None] or None

    def _one(self, asked: Any) -> dict[str, Any] | None:
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return _failed(None, RpcError(-32600, "a request is an object with a method"))
        params, number = asked.get("params", []), asked.get("id")
        if not isinstance(params, list):
            return _failed(number, RpcError(-32602, "the parameters are a list"))
        try:
            with self._lock:
                result = self._chain.answer(asked["method"], params)
        except RpcError as error:
            return _failed(number, error)
        return {"jsonrpc": "2.0", "id": number, "result": result} if "id" in asked else None


def _failed(number: Any, error: RpcError) -> dict[str, Any]:
    content: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        content["data"] = error.data
    return {"jsonrpc": "2.0", "id": number, "error": content}


def app(gate: Gate, health: Health) -> FastAPI:
    """``POST /`` is JSON-RPC."""
    made = create_app("Touchstone development chain", "An EVM for development, by JSON-RPC.", health, LIMITS)

    @made.post("/", operation_id="rpc", summary="JSON-RPC, single or batch")
    async def rpc(request: Request) -> Response:
        answer = await run_in_threadpool(gate.answer, await request.body())
        return Response(status_code=204) if answer is None else JSONResponse(answer)

    return made


class ChainServer:
    """The chain, its blocks and its server. ``port`` 0 takes a free one. A context manager; ``run`` serves until a signal."""

    def __init__(self, chain: DevelopmentChain, host: str, port: int) -> None:
        gate, health = Gate(chain), Health()
        self._loop = Loop("blocks", gate.step, STEP_SECONDS)
        health.add("blocks", lambda: self._loop.stale(10.0))
        self.server: Server = serve(app(gate, health), host, port)

    def __enter__(self) -> ChainServer:
        self._loop.start()
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._loop.stop()

    @property
    def url(self) -> str:
        return self.server.url

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._loop.start()
        try:
            self.server.run()
        finally:
            self._loop.stop()
