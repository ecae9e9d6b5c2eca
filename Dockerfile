# Guidkeep with the drivers of all stores and caches.
#
#   docker build -t guidkeep .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#       -p 127.0.0.1:8080:8080 -v guidkeep:/data guidkeep
#
# A tag may come to mean another image. To pin an image, use its digest:
#   docker build --build-arg PYTHON=python:3.12-slim@sha256:... -t guidkeep .

ARG PYTHON=python:3.12-slim

FROM ${PYTHON} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/guidkeep
# Dependencies come first: they keep their layer when only the source changes.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --extra all --no-install-project
COPY src src
RUN uv sync --locked --no-dev --extra all --no-editable

FROM ${PYTHON}
# As a number, so that a platform can verify that it is not root.
RUN useradd --system --uid 10001 --home-dir /data --create-home guidkeep && chmod 0700 /data
COPY --from=build /opt/guidkeep/.venv /opt/guidkeep/.venv
USER 10001
WORKDIR /data
VOLUME /data
# It writes only to the volume: temporary files go there too.
ENV PATH=/opt/guidkeep/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/data \
    GUIDKEEP_HOST=0.0.0.0 \
    GUIDKEEP_PORT=8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# It uses the address in these variables; it does not see flags of "serve".
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["guidkeep", "health"]
ENTRYPOINT ["guidkeep"]
CMD ["serve"]
