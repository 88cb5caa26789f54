"""The way to a pod: straight to its address, and bounded in time and size, whatever the pod does.

huggingface_hub's own client would not do. It sends the operator's Hugging Face token to whomever it asks, goes through
the proxies of the environment, which know no pods, refuses to go anywhere with HF_HUB_OFFLINE set, follows redirects,
and reads what a pod sends until the operator has no memory left.
"""

import ssl
from collections.abc import AsyncIterator
from typing import Final

import httpx2

CONNECT_SECONDS: Final = 5.0
"""A pod in the same cluster answers in milliseconds; two lost packets are sent again after 1 s and 3 s."""

MOST_BYTES: Final = 256 * 1024
"""A canary's answer is a few kilobytes long."""

TIMEOUT: Final = httpx2.Timeout(None, connect=CONNECT_SECONDS)
"""All but connecting is bounded by the canary as a whole."""

_PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Pods are asked without TLS. Made once, and without loading certificates, which would block for 20 ms each time."""


class AnswerTooLongError(httpx2.ReadError):
    """More came than any generation of a canary is long."""


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in self._stream:
            received += len(chunk)
            if received > MOST_BYTES:
                raise AnswerTooLongError(f"the answer is longer than {MOST_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _BoundedTransport(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _BoundedStream(response.stream)
        return response


async def _without_key(request: httpx2.Request) -> None:
    """Take away the key that huggingface_hub sends whatever it is told; a service mesh would refuse a wrong one."""
    request.headers.pop("Authorization", None)


async def _with_text(response: httpx2.Response) -> None:
    """Read what is no success before it becomes an exception, which cannot."""
    if not response.is_success:
        await response.aread()


def client() -> httpx2.AsyncClient:
    """Return a client for one canary."""
    return httpx2.AsyncClient(
        transport=_BoundedTransport(verify=_PLAIN, trust_env=False),
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
        timeout=TIMEOUT,
        event_hooks={"request": [_without_key], "response": [_with_text]},
    )
