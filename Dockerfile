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
 && useradd --system --uid 991 --home-dir /var/lib/vestibule --create-home vestibule
COPY --from=build /vestibule /usr/local/bin/vestibule
COPY LICENSE /usr/share/doc/vestibule/
USER vestibule
VOLUME /var/lib/vestibule
EXPOSE 8008
# The configuration is mounted; `data_dir` in it is /var/lib/vestibule, and a listener binds 0.0.0.0:8008.
HEALTHCHECK --interval=30s --timeout=5s CMD curl -fsS http://127.0.0.1:8008/readyz || exit 1
STOPSIGNAL SIGTERM
ENTRYPOINT ["vestibule", "--config", "/etc/vestibule/vestibule.toml"]
CMD ["serve"]
