# syntax=docker/dockerfile:1

# One image for the issuer, the command and the example services.
ARG PYTHON=3.13.7-slim-bookworm

FROM python:${PYTHON} AS builder
ARG UV_VERSION=0.13.8
RUN pip install --no-cache-dir "uv==${UV_VERSION}"
ENV UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/ostraka
WORKDIR /source
COPY pyproject.toml ./
COPY schemas ./schemas
COPY consumers ./consumers
COPY issuer ./issuer
# The exact versions stand in pyproject.toml. Not editable: the sources do not come along.
RUN --mount=type=cache,target=/root/.cache/uv uv sync --package ostraka-issuer --no-default-groups --no-editable

FROM python:${PYTHON}
RUN groupadd --system --gid 10001 ostraka \
    && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/ostraka --shell /usr/sbin/nologin ostraka \
    && install -d -o ostraka -g ostraka -m 0700 /var/lib/ostraka \
    && install -d -o ostraka -g ostraka -m 0755 /anchor
COPY --from=builder /opt/ostraka /opt/ostraka
WORKDIR /app
COPY examples ./examples
ENV PATH=/opt/ostraka/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OSTRAKA_HOME=/var/lib/ostraka \
    OSTRAKA_HTTP_HOST=0.0.0.0 \
    OSTRAKA_HTTP_PORT=8400
USER 10001:10001
EXPOSE 8400
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['OSTRAKA_HTTP_PORT'] + '/healthz', timeout=3)"]
CMD ["ostraka", "serve"]
