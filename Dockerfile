# Three images. `cpu` holds the embedded engine and its model, `engine` is vLLM's server with fathom's attention, and
# `client` holds what asks a server. docker-compose.yml runs them; by hand:
#   docker build --target cpu -t fathom:cpu .
#   docker run --rm -v "$PWD/examples/dealroom:/documents:ro" -v fathom:/work fathom:cpu index /documents
#   docker run --rm -v fathom:/work fathom:cpu ask "QUESTION"
#
# Every package of requirements/cpu.lock has a wheel for Linux on x86-64, so no stage has a compiler.

FROM python:3.11-slim AS python
ENV PATH=/opt/fathom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/fathom

FROM scratch AS source
COPY pyproject.toml README.md LICENSE /
COPY indexes /indexes
COPY engine /engine
COPY pipeline /pipeline
COPY evals /evals

# vLLM finds the attention by the package's entry point; what fathom's other rooms need is not installed. The version is
# that of pyproject.toml's `gpu` extra: flags, YaRN settings and the interface of attention differ between versions.
FROM vllm/vllm-openai:v0.32.0 AS engine
COPY --from=source / /src
RUN python3 -m pip install --no-deps --no-build-isolation --no-cache-dir /src

FROM python AS cpu-build
# An index that has torch's CPU build, beside pip's own: with it the image is several GB smaller.
ARG PIP_EXTRA_INDEX_URL=""
COPY requirements/cpu.lock /src/requirements/cpu.lock
RUN pip install --no-deps -r /src/requirements/cpu.lock
# Where pip's index has torch for Linux built for CUDA only, torch does not load without CUDA's libraries: those that
# this very torch asks for come too. A CPU build loads, and nothing is added.
RUN python -c "import torch" || pip install "$(grep '^torch==' /src/requirements/cpu.lock)"
COPY --from=source / /src
RUN pip install --no-deps --no-build-isolation /src
# Not measured: the machine that builds is not the machine that will read.
RUN FATHOM_CACHE=/models fathom models pull --no-measure

FROM python AS client-build
# Extras of pyproject.toml. Empty: search by words only, which needs FATHOM_INDEX_EMBEDDING=none; 0.3 GB of packages.
# "[dense]": by meaning too, with torch.
ARG EXTRAS=""
ARG PIP_EXTRA_INDEX_URL=""
COPY requirements/cpu.lock /src/requirements/cpu.lock
COPY --from=source / /src
# The lock says only which version, where a package is needed at all; not of triton, as a CUDA build of torch asks for
# its own.
RUN grep -v '^triton==' /src/requirements/cpu.lock >/src/constraints.txt \
    && pip install --constraint /src/constraints.txt "/src$EXTRAS"

FROM python:3.11-slim AS runtime
# 1000 is the first user of most Linux hosts: documents that only their owner may read can be read here too. A new
# volume at /work takes this owner over.
RUN useradd --uid 1000 --create-home fathom && install --directory --owner=fathom --group=fathom /work
ENV PATH=/opt/fathom/bin:$PATH \
    PYTHONUNBUFFERED=1
WORKDIR /work
ENTRYPOINT ["fathom"]

FROM runtime AS client
COPY --from=client-build /opt/fathom /opt/fathom
USER fathom

FROM runtime AS cpu
# vLLM's kernels for CPUs are linked with libnuma, which no wheel brings.
RUN apt-get update && apt-get install --yes --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
COPY --from=cpu-build /opt/fathom /opt/fathom
# The user's own, because logs, measured speeds and models pulled later are kept beside the bundled model.
COPY --from=cpu-build --chown=fathom:fathom /models /models
ENV FATHOM_CACHE=/models \
    HF_HOME=/models/hub
USER fathom
