# The cheap stages, preprocess and postprocess. A job definition gives the command: python -m workloads.<stage>
# Built from the repository root by `make images` (try it) and `make push STACK=<stack>` (publish it).

# The same base in both images: the digest of the multi-platform index of that tag.
FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS base

FROM base AS packages
WORKDIR /build
COPY requirements/bootstrap.lock requirements/cpu.lock ./
RUN python -m venv bootstrap \
    && bootstrap/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock \
    && python -m venv --without-pip /opt/venv \
    && bootstrap/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes --compile-bytecode cpu.lock

FROM base
ARG GIT_COMMIT=unknown
LABEL org.opencontainers.image.title="batch-reference cpu" \
      org.opencontainers.image.description="Preprocess and postprocess stages of Batch Reference" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${GIT_COMMIT}"
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1
RUN groupadd --gid 10001 pipeline \
    && useradd --uid 10001 --gid pipeline --create-home --shell /usr/sbin/nologin pipeline
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY workloads workloads
RUN python -m compileall -q workloads
USER 10001:10001
