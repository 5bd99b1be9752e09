# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ libclang1-14 libclang-common-14-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# RocksDB alone takes minutes: it is a layer of its own, kept until its version changes.
COPY Cargo.toml Cargo.lock ./
COPY tools/build-rocksdb tools/
RUN tools/build-rocksdb /rocksdb
COPY . .
ENV ROCKSDB_LIB_DIR=/rocksdb/lib ROCKSDB_INCLUDE_DIR=/rocksdb/include ROCKSDB_STATIC=1
RUN cargo build --release --locked --package vestibule-server --bin vestibule \
 && strip -o /vestibule target/release/vestibule

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 991 --home-dir /var/lib/vestibule --create-home vestibule \
 && chmod 700 /var/lib/vestibule
COPY --from=build /vestibule /usr/local/bin/vestibule
COPY LICENSE /usr/share/doc/vestibule/
USER vestibule
VOLUME /var/lib/vestibule
EXPOSE 8008
# The configuration is mounted, or given by variables. In it a listener binds 0.0.0.0:8008: loopback, the default, is the
# container's own. See docs/operations/install.md.
HEALTHCHECK --interval=30s --timeout=5s CMD curl -fsS http://127.0.0.1:8008/readyz || exit 1
STOPSIGNAL SIGTERM
ENTRYPOINT ["vestibule"]
CMD ["serve"]
