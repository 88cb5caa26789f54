# The operator. Its build context holds tokenpace's own wheel in dist/ and, in dist/wheels/, those of its locked
# dependencies and pip's (`make image`). Nothing else is read and nothing is downloaded. It builds on any image with
# Python 3.11: the published one (/usr/local/bin/python3) or Debian's own (/usr/bin/python3, without pip).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_NO_INDEX=1 PIP_NO_COMPILE=1 PIP_QUIET=1
COPY dist/wheels /wheels
# Bytecode is made here because nothing can be written where it runs; unchecked, because no source changes there either.
RUN python3 -m venv --without-pip /opt/tokenpace \
    && export PYTHONPATH="$(echo /wheels/pip-*.whl)" \
    && python3 -m pip --python /opt/tokenpace install --find-links /wheels --requirement /wheels/requirements.txt \
    && /opt/tokenpace/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/tokenpace/lib
# Apart from the dependencies: they change seldom and compile for half a minute.
COPY dist/tokenpace-*.whl /wheels/
RUN export PYTHONPATH="$(echo /wheels/pip-*.whl)" \
    && python3 -m pip --python /opt/tokenpace install --no-deps /wheels/tokenpace-*.whl \
    && /opt/tokenpace/bin/python -m compileall -q --invalidation-mode unchecked-hash \
        /opt/tokenpace/lib/python3*/site-packages/tokenpace

FROM ${PYTHON_IMAGE}
ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="tokenpace" \
      org.opencontainers.image.description="Holds a large language model on Kubernetes at a declared speed in tokens per second" \
      org.opencontainers.image.source="https://github.com/tokenpace/tokenpace" \
      org.opencontainers.image.documentation="https://github.com/tokenpace/tokenpace/blob/main/docs/README.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/tokenpace /opt/tokenpace
COPY dist/wheels/sbom.cdx.json /opt/tokenpace/share/
# USER: kopf asks for the name of the user that it runs as, and 65532 has none.
ENV PATH=/opt/tokenpace/bin:$PATH \
    USER=tokenpace \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /home/tokenpace
USER 65532:65532
ENTRYPOINT ["tokenpace"]
