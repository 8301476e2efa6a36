# One image for every service, each Job and the `postbus` command: Node, the locked dependencies that run, and the sources as they are.
#
#   docker build -t postbus:0.1.0 .
#   docker run postbus:0.1.0 apps/router/src/main.ts
#
# BUILD has Node and npm and is left behind. BASE needs a C and C++ runtime and the certificates of public authorities, nothing else:
# no shell is used in it. Both can be others; deploy/image/build.sh makes them from Debian packages where no registry can be reached.
ARG BUILD=docker.io/library/node:26.10.0-trixie-slim
ARG BASE=gcr.io/distroless/cc-debian13:nonroot

FROM ${BUILD} AS build
WORKDIR /app
COPY . .
# Scripts of packages are not run: none of ours needs any. What npm fetched for other systems, and what only describes, stays here.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
 && rm -rf apps/platform-e2e libs/testkit node_modules/@postbus/platform-e2e node_modules/@postbus/testkit node_modules/.cache \
 && find node_modules -type f \( -name '*.md' -o -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete \
 && find node_modules -depth -type d -empty -delete
# Where compose.yaml mounts its volume, which takes over the owner; a cluster keeps nothing there.
RUN mkdir -p /data/db /data/spool /data/blobs /data/keys /data/nats
# Node itself, and the one library it needs that BASE may not have.
RUN mkdir -p /out/usr/local/bin \
 && cp -L "$(command -v node)" /out/usr/local/bin/node \
 && ldd /out/usr/local/bin/node | awk '/libatomic/ { print $3 }' | while read -r library; do \
      mkdir -p "/out/usr${library%/*}" && cp -L "$library" "/out/usr${library#/usr}"; \
    done

FROM ${BASE}
COPY --from=build /out/ /
COPY --from=build /app/ /app/
COPY --from=build --chown=10001:10001 /data/ /var/lib/postbus/
WORKDIR /app
ENV NODE_ENV=production
# Memory that is used again at once is not given back to the system in between: tools/start/children.ts says what that costs.
ENV MALLOC_MMAP_THRESHOLD_=4194304 MALLOC_TRIM_THRESHOLD_=33554432 MALLOC_TOP_PAD_=1048576
# A number, so that the cluster can see it is not root. Nothing in the image is this user's to write.
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/node"]
CMD ["tools/run/main.ts"]
