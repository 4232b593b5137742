# One target for each program: docker build --target node-agent .
FROM golang:1.26 AS build
RUN apt-get update && apt-get install -y --no-install-recommends npm && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make build

FROM scratch AS node-agent
LABEL org.opencontainers.image.title="Watchpost node-agent" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/bin/node-agent /node-agent
USER 65534
EXPOSE 9100
ENTRYPOINT ["/node-agent"]

FROM scratch AS state-agent
LABEL org.opencontainers.image.title="Watchpost state-agent" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/bin/state-agent /state-agent
USER 65534
EXPOSE 8080 8081
ENTRYPOINT ["/state-agent"]

FROM scratch AS cadvisor-proxy
LABEL org.opencontainers.image.title="Watchpost cadvisor-proxy" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/bin/cadvisor-proxy /cadvisor-proxy
USER 65534
EXPOSE 9101
ENTRYPOINT ["/cadvisor-proxy"]

FROM scratch AS collector
LABEL org.opencontainers.image.title="Watchpost collector" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/bin/collector /collector
USER 65534
EXPOSE 9090
VOLUME /data
ENTRYPOINT ["/collector", "--storage.tsdb.path=/data"]
