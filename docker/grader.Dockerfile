# The grader itself, for the scheduler and the workers of docker-compose.yml. No student code runs in
# it, and no rubric or reference is in it: workers have none.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE}
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY docker docker
COPY grader grader
RUN python3 -m venv /opt/grader \
 && /opt/grader/bin/pip install --no-cache-dir --disable-pip-version-check torch \
        --index-url https://download.pytorch.org/whl/cpu \
 && /opt/grader/bin/pip install --no-cache-dir --disable-pip-version-check '.[cluster]' \
 && rm -rf /root/.cache /src
WORKDIR /
ENTRYPOINT ["/opt/grader/bin/python", "-m", "grader"]
