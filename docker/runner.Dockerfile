# GitHub's runner, with what the workflows' jobs call besides (it has git, curl and jq; actions/setup-python brings Python).
ARG RUNNER_IMAGE
FROM ${RUNNER_IMAGE}
USER 0
# Of the base image's release, which keeps one version of a package at a time.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends make \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 1001 -g 1001 /reports
USER 1001
