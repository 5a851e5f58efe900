# The image of the controller and the state service, and the base of a job's own image:
#
#     docker build -t resumable-jobs .
#
# BASE_IMAGE needs Python 3.11 or newer with `venv`; both stages must have the same one. A machine whose pip needs a mirror
# mounts its settings, so that they stay out of the image: `buildah build --volume /etc/pip.conf:/etc/pip.conf:ro`.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# pip stays in this stage: it installs into a second environment that has none of its own.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
COPY requirements/image.txt /src/requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip --python /opt/venv/bin/python install --require-hashes --requirement /src/requirements/image.txt

FROM dependencies AS package
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
# Into a folder of its own, so that a change of our code leaves the large layer of the dependencies as it is.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip --python /opt/venv/bin/python install --no-deps --prefix /opt/package .

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Resumable Jobs" \
      org.opencontainers.image.licenses="Apache-2.0"
# A name for the user: without one `getpass.getuser()` and `~` fail in a job's code. Written by hand, as not every slim
# base has useradd.
RUN echo 'resumable:x:65532:65532::/home/resumable:/sbin/nologin' >> /etc/passwd \
    && echo 'resumable:x:65532:' >> /etc/group \
    && mkdir -p /home/resumable && chown 65532:65532 /home/resumable
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/resumable
USER 65532:65532
ENTRYPOINT ["resumable"]
# Last, what changes: first the dependencies, then our code.
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /opt/package /opt/venv
