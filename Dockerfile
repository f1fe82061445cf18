# One image for every part of Holdfast: workers, keeper, Envoy (its program comes with a Python package), the command.
#   docker build -t holdfast .
# BASE is any Debian-like image with Python 3.11 and its venv module.
ARG BASE=python:3.11.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
# What builds the package is pinned like all else, in the developers' list.
RUN python3 -m venv /opt/holdfast \
 && /opt/holdfast/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
 && sed -n '/^setuptools==/,/^    # via/p' requirements-dev.lock > build.lock \
 && python3 -m venv builder \
 && builder/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r build.lock
COPY . .
RUN builder/bin/pip wheel --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir wheels . \
 && /opt/holdfast/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index wheels/*.whl \
 && /opt/holdfast/bin/python -m compileall -q /opt/holdfast/lib \
 && /opt/holdfast/bin/pip uninstall --yes --quiet pip setuptools

FROM ${BASE}
RUN groupadd --gid 10001 holdfast \
 && useradd --uid 10001 --gid holdfast --no-create-home --home-dir /var/lib/holdfast --shell /usr/sbin/nologin holdfast \
 && install -d -o holdfast -g holdfast /var/lib/holdfast
COPY --from=build /opt/holdfast /opt/holdfast
COPY production/image/holdfast-ready /usr/local/bin/
ENV PATH=/opt/holdfast/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOLDFAST_HOME=/var/lib/holdfast \
    HOLDFAST_LOG_FORMAT=json \
    HOLDFAST_WORKER_HEALTH_PORT=8080
USER holdfast
WORKDIR /var/lib/holdfast
VOLUME /var/lib/holdfast
# A worker handles SIGTERM itself. Whoever runs `worker deploys` wants an init before it (`docker run --init`), which
# takes the exit status of service instances that outlive it.
ENTRYPOINT ["holdfast"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["holdfast-ready"]
