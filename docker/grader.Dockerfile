# The grader itself, for the scheduler and the workers of docker-compose.yml. No student code runs in
# it, and no rubric or reference is in it: workers have none.
#
# GRADER_TORCH_INDEX is another place for torch, as in scripts/setup. Where the engine has no network of
# its own: docker build --network host -t grader:latest -f docker/grader.Dockerfile .
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
ARG GRADER_TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /src
# The large libraries first, so that a new version of the grader does not fetch them again.
COPY docker/requirements.txt docker/
RUN python3 -m venv /opt/grader \
 && /opt/grader/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps \
        --index-url "${GRADER_TORCH_INDEX}" "$(sed -n '/^torch==/p' docker/requirements.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY docker docker
COPY grader grader
RUN /opt/grader/bin/pip install --no-cache-dir --disable-pip-version-check '.[cluster]'

FROM ${BASE}
COPY --from=build /opt/grader /opt/grader
ENTRYPOINT ["/opt/grader/bin/python", "-m", "grader"]
