# One image for every process of the network; what it does is its command (docker-compose.yml).
# The build context must not contain anything but what .dockerignore lets in.

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# Dependencies first: they change less often than the source, and every one is held to its hash.
COPY requirements-run.lock ./
RUN python -m venv /venv && /venv/bin/pip install --require-hashes -r requirements-run.lock
RUN python -m venv /tools && /tools/bin/pip install setuptools==84.2.1
COPY . ./
RUN /tools/bin/pip wheel --no-deps --no-build-isolation -w /wheels . \
    && /venv/bin/pip install --no-deps /wheels/*.whl \
    && /venv/bin/python -m compileall -q /venv/lib \
    && /venv/bin/pip uninstall -y pip

FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 10001 touchstone \
    && useradd --uid 10001 --gid touchstone --home-dir /tmp --no-create-home --shell /usr/sbin/nologin touchstone \
    && mkdir -p /var/lib/touchstone/network /var/lib/touchstone/models /var/lib/touchstone/programs \
    && chown -R touchstone:touchstone /var/lib/touchstone
COPY --from=build /venv /venv
# Nothing is written outside of volumes and /tmp, so that the root filesystem may be read-only.
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 JAX_PLATFORMS=cpu
WORKDIR /var/lib/touchstone
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["touchstone"]
CMD ["--help"]
