# syntax=docker/dockerfile:1

# One static binary on an image without a shell. Build: docker build --build-arg VERSION=$(git describe --tags --always) .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
ENV CGO_ENABLED=0 GOCACHE=/cache/build
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/cache/build \
    go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/dibs ./cmd/dibs && mkdir -p /out/data

FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.title="dibs" \
      org.opencontainers.image.description="Deal-registration conflict detection for channel sales" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/dibs /usr/local/bin/dibs
COPY --from=build /src/LICENSE /src/NOTICE /licenses/
# The database and the ledger's signing key. Keep both: without the key the service does not start.
COPY --from=build --chown=nonroot:nonroot /out/data /var/lib/dibs
ENV DIBS_LISTEN=0.0.0.0:8080 \
    DIBS_DATABASE=sqlite:/var/lib/dibs/dibs.db
VOLUME ["/var/lib/dibs"]
WORKDIR /var/lib/dibs
EXPOSE 8080
USER nonroot:nonroot
# There is no shell in the image: dibs asks itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/dibs", "health"]
ENTRYPOINT ["/usr/local/bin/dibs"]
CMD ["serve"]
