# The analysis stage: MPI, CuPy, and the CUDA libraries that CuPy uses. A job definition gives the command: python -m workloads.analysis
# The CUDA libraries are wheels pinned in requirements/gpu.lock: cuBLAS, NVRTC, the runtime and NCCL. CuPy links more (cuFFT, cuRAND, cuSOLVER,
# cuSPARSE and its nvJitLink, 960 MB) and loads each with its first use, which the analysis makes of none.
# The driver comes from the host (image type ECS_AL2023_NVIDIA); CUDA 13 needs driver 580 or newer there.
#
# EFA userspace (libfabric and Amazon's Open MPI) is put in by two build arguments, the checksum as AWS publishes it for that version:
#   make push STACK=prod EFA_INSTALLER_VERSION=1.51.0 EFA_INSTALLER_SHA256=<64 hex digits>
# Without them MPI speaks TCP, which works on every instance.

ARG EFA_INSTALLER_VERSION=

# The same base in both images: the digest of the multi-platform index of that tag.
FROM python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS base

FROM base AS packages
WORKDIR /build
COPY requirements/bootstrap.lock requirements/gpu.lock ./
RUN python -m venv bootstrap \
    && bootstrap/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.lock \
    && python -m venv --without-pip /opt/venv \
    && bootstrap/bin/uv pip sync --no-cache --python /opt/venv/bin/python --require-hashes --compile-bytecode gpu.lock \
    && rm -f /opt/venv/.lock

# The profile's passes over columns, for jobs on processors: only the library leaves this stage.
FROM base AS passes
# Any compiler of this distribution gives the same bits: each operation is rounded on its own.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /app
COPY workloads workloads
RUN python -m workloads.analysis.profile.passes_library

# /opt/mpi is the MPI in force: the wheel's Open MPI here, Amazon's in runtime-efa.
FROM base AS runtime
COPY --from=packages /opt/venv /opt/venv
RUN ln -s /opt/venv /opt/mpi

FROM scratch AS efa-installer
ARG EFA_INSTALLER_VERSION
ARG EFA_INSTALLER_SHA256
ADD --checksum=sha256:${EFA_INSTALLER_SHA256} https://efa-installer.amazonaws.com/aws-efa-installer-${EFA_INSTALLER_VERSION}.tar.gz /efa.tar.gz

# No kernel module and no limits file: both belong to the host. No device to verify on a build machine either.
FROM runtime AS runtime-efa
WORKDIR /tmp/efa
RUN --mount=type=bind,from=efa-installer,source=/efa.tar.gz,target=/tmp/efa.tar.gz \
    tar --extract --gzip --strip-components=1 --file=/tmp/efa.tar.gz \
    && apt-get update \
    && ./efa_installer.sh -y --skip-kmod --skip-limit-conf --no-verify --mpi=openmpi5 \
    && rm -rf /tmp/efa/* /var/lib/apt/lists/* \
    && ln -sfn /opt/amazon/openmpi5 /opt/mpi

# The name of a stage above, not of an image without a tag.
# hadolint ignore=DL3006
FROM runtime${EFA_INSTALLER_VERSION:+-efa}
ARG GIT_COMMIT=unknown
LABEL org.opencontainers.image.title="batch-reference gpu" \
      org.opencontainers.image.description="Analysis stage of Batch Reference" \
      org.opencontainers.image.licenses="Apache-2.0 AND LicenseRef-NVIDIA-CUDA-EULA" \
      org.opencontainers.image.revision="${GIT_COMMIT}"
# An image without an NVIDIA base must name the driver parts that it wants mounted: CUDA itself and nvidia-smi.
ENV PATH=/opt/mpi/bin:/opt/venv/bin:${PATH} \
    MPI4PY_LIBMPI=/opt/mpi/lib/libmpi.so.40 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CUPY_CACHE_DIR=/tmp/cupy \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1
RUN groupadd --gid 10001 pipeline \
    && useradd --uid 10001 --gid pipeline --create-home --shell /usr/sbin/nologin pipeline
WORKDIR /app
COPY workloads workloads
COPY --from=passes /app/workloads/analysis/profile/__pycache__/ workloads/analysis/profile/__pycache__/
RUN python -m compileall -q workloads && python -m workloads.analysis.code_version
USER 10001:10001
# A launcher and a library of different MPIs would fail on the machines only, at their price: ranks are started as the analysis starts them.
RUN mkdir /tmp/check \
    && export TMPDIR=/tmp/check CUPY_CACHE_DIR=/tmp/check \
    && python -c "import workloads.analysis.knn.pairs_cupy, workloads.analysis.profile.leaf_cupy" \
    && python -c "import workloads.analysis.distributed.transport.device_cupy" \
    && python -c "from workloads.analysis.profile.compiled import passes; assert passes()" \
    && python -c "from cupy_backends.cuda.libs import cublas, nccl, nvrtc; print(nccl.get_version(), nvrtc.getVersion())" \
    && python -m workloads.analysis.launch.self_check \
    && rm -r /tmp/check
