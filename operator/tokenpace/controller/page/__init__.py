"""The status page: drawn on the server, from values alone. HTML and SVG without any script."""
