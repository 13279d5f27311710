# One image with the four programs: worker, api, edge and evercert (the CLI). docker-compose.yml chooses which one runs.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# The same flags as `make build`: CGO off makes the programs static, so that they run in an image without a C library.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    export CGO_ENABLED=0 \
    && go build -trimpath -buildvcs=false -ldflags '-s -w' -o /out/ ./worker ./api ./edge \
    && go build -trimpath -buildvcs=false -ldflags '-s -w' -o /out/evercert ./starter \
    && mkdir -p /state/edge

# distroless static: CA certificates, time zones, a user without rights (65532), no shell. Debian 12's series has no other tags.
FROM gcr.io/distroless/static-debian12:nonroot
# For the health checks alone; static, and all that there is beside our own programs.
COPY --from=busybox:1.37.0-musl /bin/wget /bin/wget
COPY --from=build /out/ /usr/local/bin/
# A volume that is mounted there takes its owner from here.
COPY --from=build --chown=65532:65532 /state/ /var/lib/evercert/
# Nothing listens below port 1024: docker-compose.yml maps 53, 80 and 443 onto these.
EXPOSE 8080 8443 5353/udp 5353/tcp
CMD ["worker"]
