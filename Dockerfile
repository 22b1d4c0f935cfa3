# The images of Forebay: a target per service, and `forebay`, which is all of them and the command line.
#
#   cargo xtask images                                          all images and their SBOMs, by docker buildx or buildah
#   docker build --target registry --tag forebay/registry .     one of them
#
# An image holds one static program, the certificates of public authorities and an empty folder; no shell, no package. docs/images.md says more.
ARG BUILD_IMAGE=rust:1.95.0-bookworm

FROM ${BUILD_IMAGE} AS toolchain
# OpenSSL and librdkafka are built from source with the rest: make and perl are for them.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates cmake make musl-tools perl \
 && rm -rf /var/lib/apt/lists/*
RUN rustup target add "$(uname -m)-unknown-linux-musl"
RUN mkdir -p /empty/var/lib/forebay

FROM toolchain AS source
WORKDIR /src
COPY . .
ENV CARGO_TARGET_DIR=/target

# Online serving is built alone: a build with others would give it what only they need.
FROM source AS build-online-serving
RUN --mount=type=cache,id=forebay-crates,target=/usr/local/cargo/registry \
    --mount=type=cache,id=forebay-target,target=/target,sharing=locked \
    sh xtask/src/images/program.sh vendored forebay-online-serving

# All these link the engine, whose build takes the time: it is built once.
FROM source AS build
RUN --mount=type=cache,id=forebay-crates,target=/usr/local/cargo/registry \
    --mount=type=cache,id=forebay-target,target=/target,sharing=locked \
    sh xtask/src/images/program.sh forebay/vendored,forebay-registry/program \
      forebay forebay-registry forebay-compute forebay-ingestion forebay-offline-query

# What all images have in common. `[storage] data_dir` belongs to a volume: the root may be read-only.
FROM scratch AS runtime
COPY --from=toolchain /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=toolchain --chown=65532:65532 /empty/var/lib/forebay /var/lib/forebay
COPY LICENSE /licenses/LICENSE
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /var/lib/forebay
USER 65532:65532
EXPOSE 8080
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.vendor="Forebay" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM runtime AS registry
LABEL org.opencontainers.image.title="forebay/registry" org.opencontainers.image.description="Forebay's registry: definitions, plans, applies"
COPY --from=build /out/forebay-registry /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/forebay-registry"]

FROM runtime AS compute
LABEL org.opencontainers.image.title="forebay/compute" org.opencontainers.image.description="Forebay's compute: runs of batch groups and their schedule"
COPY --from=build /out/forebay-compute /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/forebay-compute"]

FROM runtime AS ingestion
LABEL org.opencontainers.image.title="forebay/ingestion" org.opencontainers.image.description="Forebay's ingestion: rows from callers, and the sinks"
COPY --from=build /out/forebay-ingestion /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/forebay-ingestion"]

FROM runtime AS online-serving
LABEL org.opencontainers.image.title="forebay/online-serving" org.opencontainers.image.description="Forebay's online serving: features as they are"
COPY --from=build-online-serving /out/forebay-online-serving /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/forebay-online-serving"]

FROM runtime AS offline-query
LABEL org.opencontainers.image.title="forebay/offline-query" org.opencontainers.image.description="Forebay's offline query: features as they were"
COPY --from=build /out/forebay-offline-query /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/forebay-offline-query"]

FROM runtime AS forebay
LABEL org.opencontainers.image.title="forebay/forebay" org.opencontainers.image.description="Forebay: all services in one process, and the command line"
COPY --from=build /out/forebay /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/forebay"]
CMD ["serve"]
