# A home in one image: waybill serve, its engines and its proxy. compose.yaml runs each part in a container of its own.
# The stages build the same pinned packages as `make parts`.
FROM rust:1.95-slim-bookworm AS store
# The tag of the base image pins Debian's release; its packages get security updates.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --no-install-recommends -y gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
COPY infra/home/build infra/home/parts.env /src/infra/home/
RUN /src/infra/home/build store /usr/local/lib/waybill

FROM golang:1.26-bookworm AS objects
COPY infra/home/build infra/home/parts.env /src/infra/home/
COPY infra/home/go /src/infra/home/go
RUN /src/infra/home/build go /usr/local/lib/waybill

FROM maven:3.9-eclipse-temurin-17 AS queues
COPY infra/home/build infra/home/parts.env /src/infra/home/
COPY infra/home/elasticmq /src/infra/home/elasticmq
RUN /src/infra/home/build queues /usr/local/lib/waybill

FROM python:3.13-slim-bookworm
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --no-install-recommends -y openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
COPY requirements-serve.lock /usr/local/lib/waybill/
RUN python -m venv /usr/local/lib/waybill/venv \
  && /usr/local/lib/waybill/venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r /usr/local/lib/waybill/requirements-serve.lock
COPY --from=store /usr/local/lib/waybill/bin/ /usr/local/lib/waybill/bin/
COPY --from=objects /usr/local/lib/waybill/bin/ /usr/local/lib/waybill/bin/
COPY --from=queues /usr/local/lib/waybill/elasticmq/ /usr/local/lib/waybill/elasticmq/
COPY . /usr/local/lib/waybill/src
RUN groupadd --gid 10001 waybill \
  && useradd --uid 10001 --gid waybill --no-create-home --home-dir /var/lib/waybill --shell /usr/sbin/nologin waybill \
  && for folder in "" keys store queues objects proxy; do \
    install --directory --owner=waybill --group=waybill --mode=0700 "/var/lib/waybill/$folder"; done
USER 10001:10001
VOLUME ["/var/lib/waybill/keys", "/var/lib/waybill/store", "/var/lib/waybill/queues", "/var/lib/waybill/objects", "/var/lib/waybill/proxy"]
WORKDIR /usr/local/lib/waybill/src
ENTRYPOINT ["/usr/local/lib/waybill/src/infra/home/part"]
