# ccproxy as an image. Settings come as environment variables; the volume /data holds the database (SQLite), what
# waits for the database, and the secrets of the first start. docs/operations.md, "A container".
FROM python:3.13-slim AS packages
WORKDIR /build
COPY requirements.lock requirements-optional.lock ./
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --only-binary :all: \
    --require-hashes -r requirements.lock -r requirements-optional.lock

FROM python:3.13-slim
LABEL org.opencontainers.image.title="ccproxy" \
      org.opencontainers.image.description="A gateway that lets clients of the Messages API work with any OpenAI-compatible provider" \
      org.opencontainers.image.licenses="MIT"
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/ccproxy
# what .dockerignore lets in
COPY . ./
# any user may run it: where the platform chooses one, its group is 0
RUN install -d -m 0770 -o 10001 -g 0 /data
USER 10001:0
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8082 \
    DATA_DIR=/data \
    CCPROXY_ENV_FILE=/data/.env
VOLUME /data
EXPOSE 8082
HEALTHCHECK --interval=15s --timeout=4s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=3)"]
# `run` waits STOP_GRACE for streams when it is told to stop
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "manage.py"]
CMD ["run"]
