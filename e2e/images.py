"""The images that `make images` built and put into the cluster."""

from e2e.kubectl import TOOLS


def built_image(name: str) -> str:
    """Return the full name of an image that was built last.

    Raises:
        RuntimeError: there is none; the message says how to get one.
    """
    noted = TOOLS / "images" / name
    if not noted.exists():
        raise RuntimeError(f"no image {name} has been built: `make images` does it")
    return noted.read_text(encoding="utf-8").strip()
