"""A fake of llama.cpp's HTTP API: as many tokens as asked for, when the test lets them go.

What it writes has the form of the recorded streams beside it. Run as a program it takes llama-server's flags.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

PROMPT_MS = 40.0
STEP_MS = 10.0


class FakeLlamaCpp:
    """Slots that all take the same steps; a word is a token."""

    def __init__(self, slots: int = 2, context_tokens: int = 1024) -> None:
        self.url = ""
        self.slots = slots
        self.context_tokens = context_tokens
        self.running = 0
        self.bodies: list[dict[str, Any]] = []
        self.cut_after: int | None = None
        self.failure: str | None = None
        self.is_loaded = True
        self.go = asyncio.Event()
        self.go.set()
        self._changed = asyncio.Condition()

    async def until_running(self, count: int) -> None:
        """Wait until so many streams run."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.running == count)

    async def _run(self, change: int) -> None:
        async with self._changed:
            self.running += change
            self._changed.notify_all()

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/props", self._props),
                web.post("/tokenize", self._tokenize),
                web.post("/apply-template", self._template),
                web.post("/completion", self._completion),
            ]
        )
        return application

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({}, status=200 if self.is_loaded else 503)

    async def _props(self, _: web.Request) -> web.Response:
        settings = {"n_ctx": self.context_tokens}
        return web.json_response({"total_slots": self.slots, "default_generation_settings": settings})

    async def _tokenize(self, request: web.Request) -> web.Response:
        words = (await request.json())["content"].split()
        return web.json_response({"tokens": [len(word) for word in words]})

    async def _template(self, request: web.Request) -> web.Response:
        messages = (await request.json())["messages"]
        return web.json_response({"prompt": " ".join(f"{m['role']}: {m['content']}" for m in messages)})

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if self.failure:
            return web.json_response({"error": {"code": 400, "message": self.failure}}, status=400)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self._run(+1)
        try:
            for number in range(1, body["n_predict"] + 1):
                await self.go.wait()
                await asyncio.sleep(0)
                await response.write(event(number))
                if number == self.cut_after:
                    return response
            await response.write(event(body["n_predict"], is_end=True))
        finally:
            await self._run(-1)
        return response


def event(count: int, *, is_end: bool = False) -> bytes:
    """What llama.cpp writes after its `count`-th token."""
    text = "" if is_end else f" {count}"
    chunk: dict[str, Any] = {
        "content": text,
        "stop": is_end,
        "tokens_predicted": count,
        "timings": {"prompt_ms": PROMPT_MS, "predicted_ms": (count - 1) * STEP_MS},
    }
    if is_end:
        chunk |= {"stop_type": "limit"}
    else:
        chunk |= {"completion_probabilities": [{"id": count, "token": text, "logprob": -0.5}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def main(arguments: list[str]) -> None:
    """Serve as llama-server would; a model called `broken` fails to load, one called `endless` never is loaded.

    The process id is left beside the model.
    """
    flags = dict(zip(arguments[::2], arguments[1::2], strict=False))
    model = Path(flags["--model"])
    if model.stem == "broken":
        sys.exit("error loading model: broken")
    fake = FakeLlamaCpp(int(flags["--parallel"]), int(flags["--ctx-size"]) // int(flags["--parallel"]))
    fake.is_loaded = model.stem != "endless"
    model.with_suffix(".pid").write_text(str(os.getpid()))
    web.run_app(fake.application(), host=flags["--host"], port=int(flags["--port"]), print=None)


if __name__ == "__main__":
    main(sys.argv[1:])
