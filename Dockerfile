# Guidkeep with the drivers of all stores and caches.
#
#   docker build -t guidkeep .
#   docker run -p 127.0.0.1:8080:8080 -v guidkeep:/data guidkeep

FROM python:3.12-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv
WORKDIR /opt/guidkeep
# What changes seldom comes first: the dependencies stay in their layer when only the source changes.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --extra all --no-install-project
COPY src src
RUN uv sync --locked --no-dev --extra all --no-editable

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home guidkeep
COPY --from=build /opt/guidkeep/.venv /opt/guidkeep/.venv
USER guidkeep
WORKDIR /data
VOLUME /data
ENV PATH=/opt/guidkeep/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GUIDKEEP_HOST=0.0.0.0 \
    GUIDKEEP_PORT=8080
EXPOSE 8080
STOPSIGNAL SIGTERM
# Where the variables say that it listens; a flag of "serve" it does not see.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["guidkeep", "health"]
ENTRYPOINT ["guidkeep"]
CMD ["serve"]
