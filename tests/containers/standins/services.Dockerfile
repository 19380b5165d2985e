# PostgreSQL, Redis and an S3 server (OpenStack Swift) in one image; entrypoint.sh does what the upstream images' entrypoints do.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends postgresql redis-server socat \
 && rm -rf /var/lib/apt/lists/*
COPY constraints.txt /tmp/
RUN python -m pip install --quiet --disable-pip-version-check --no-cache-dir --constraint /tmp/constraints.txt swift boto3
RUN groupadd --gid 999 service \
 && useradd --uid 999 --gid 999 --no-create-home service \
 && install -d -o 999 -g 999 /var/lib/postgresql/data /data \
 && ln -s /usr/lib/postgresql/15/bin/* /usr/local/bin/
COPY swift.py /opt/object_store.py
COPY mc entrypoint.sh minio.sh /usr/local/bin/
RUN ln -s minio.sh /usr/local/bin/minio
# The socket's usual folder: podman's own tmpfs on /run hides it in read-only containers.
ENV PGHOST=/tmp
USER 999
ENTRYPOINT ["entrypoint.sh"]
CMD ["postgres"]
