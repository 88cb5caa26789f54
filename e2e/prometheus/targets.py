"""Tells Prometheus which pods to scrape: `http_sd_configs` in front of the Kubernetes API.

Debian's Prometheus is built without Kubernetes' service discovery. One configuration for it and for the published
image is worth more than the better of the two: http://127.0.0.1:9100/PORT?labelSelector=... lists the running pods
with that label, each with the labels that Kubernetes' discovery would be told to give it.
"""

import json
import ssl
import urllib.parse
from contextlib import closing
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TRUSTED = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")


def pods(label_selector: str) -> list[dict[str, Any]]:
    """Return the running pods with a label, of all namespaces."""
    query = urllib.parse.urlencode({"labelSelector": label_selector, "fieldSelector": "status.phase=Running"})
    connection = HTTPSConnection("kubernetes.default.svc", context=TRUSTED, timeout=5)
    with closing(connection):
        token = (ACCOUNT / "token").read_text()
        connection.request("GET", f"/api/v1/pods?{query}", headers={"Authorization": f"Bearer {token}"})
        found: list[dict[str, Any]] = json.load(connection.getresponse())["items"]
        return found


def targets(found: list[dict[str, Any]], port: str) -> list[dict[str, Any]]:
    """Return the pods in the form that Prometheus reads."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port}"],
            "labels": {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]},
        }
        for pod in found
        if "podIP" in pod["status"]
    ]


class Targets(BaseHTTPRequestHandler):
    """Answers GET /PORT?labelSelector=..."""

    def do_GET(self) -> None:
        """Ask the API server. A failure is a failure: Prometheus keeps the targets that it has."""
        address = urllib.parse.urlsplit(self.path)
        selector = urllib.parse.parse_qs(address.query)["labelSelector"][0]
        body = json.dumps(targets(pods(selector), address.path.strip("/"))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests that come every two seconds."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 9100), Targets).serve_forever()
