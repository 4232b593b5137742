# One image for each program: docker build --target node-agent --build-arg VERSION=$(git describe --tags --always --abbrev=12) \
#   --build-arg REVISION=$(git rev-parse HEAD) --build-arg CREATED=$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd) .
# `make image` makes the same without docker: it reads the stages below the first from this file (docs/container-images.md).
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make web
ARG VERSION REVISION CREATED TARGETARCH
RUN go run -C deploy/image . --stage=/out --arch="$TARGETARCH" --version="$VERSION" --revision="$REVISION" --created="$CREATED"

# What all have in common: the certificates that TLS clients trust, and a user who is nobody.
FROM scratch AS base
ARG VERSION=unknown REVISION CREATED SOURCE
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.vendor=Watchpost \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/
USER 65534:65534

FROM base AS node-agent
LABEL org.opencontainers.image.title="Watchpost node-agent" \
      org.opencontainers.image.description="Tells how a Linux host is, in the metrics of node_exporter."
COPY --from=build /out/node-agent /
EXPOSE 9100
ENTRYPOINT ["/node-agent"]

FROM base AS state-agent
LABEL org.opencontainers.image.title="Watchpost state-agent" \
      org.opencontainers.image.description="Tells of the objects of a Kubernetes cluster, in the metrics of kube-state-metrics."
COPY --from=build /out/state-agent /
EXPOSE 8080 8081
ENTRYPOINT ["/state-agent"]

FROM base AS cadvisor-proxy
LABEL org.opencontainers.image.title="Watchpost cadvisor-proxy" \
      org.opencontainers.image.description="Passes on the metrics of a node's containers, filtered, with the pod on each series."
COPY --from=build /out/cadvisor-proxy /
EXPOSE 9101
ENTRYPOINT ["/cadvisor-proxy"]

FROM base AS collector
LABEL org.opencontainers.image.title="Watchpost collector" \
      org.opencontainers.image.description="Finds, scrapes, stores and draws metrics, and raises alerts: Prometheus' engine."
COPY --from=build /out/collector /
# A volume that docker makes gets the owner of the folder in the image.
COPY --from=build --chown=65534:65534 /out/data /data
EXPOSE 9090
VOLUME /data
ENTRYPOINT ["/collector", "--storage.tsdb.path=/data"]
