"""The images that `make images` built and put into the cluster, and others made from them."""

import subprocess
from pathlib import Path

from e2e.kubectl import ROOT, TOOLS

OPERATOR_PACKAGES = "/opt/tokenpace/lib/python3.*/site-packages"
"""Where the operator's image has its Python packages, for a shell."""


def built_image(name: str) -> str:
    """Return the full name of an image that was built last.

    Raises:
        RuntimeError: there is none; the message says how to get one.
    """
    noted = TOOLS / "images" / name
    if not noted.exists():
        raise RuntimeError(f"no image {name} has been built: `make images` does it")
    return noted.read_text(encoding="utf-8").strip()


def changed_operator(tag: str, *steps: str, context: Path | None = None) -> str:
    """Put a changed image of the operator into the cluster, and return its full name.

    Args:
        tag: of the image.
        steps: lines of a Dockerfile, done as root to the operator's image that was built last.
        context: the folder with the files that the steps add.
    """
    image = f"localhost/tokenpace/operator:{tag}"
    dockerfile = "\n".join((f"FROM {built_image('operator')}", "USER root", *steps, "USER 65532:65532"))
    source = ["-"] if context is None else ["--file", "-", str(context)]
    build = ["docker", "build", "--quiet", "--tag", image, *source]
    subprocess.run(build, input=dockerfile, text=True, check=True, capture_output=True)
    subprocess.run([ROOT / "hack" / "load-image.sh", image], check=True, capture_output=True)
    return image
