# One image for hubs and agents: `docker run rollcall` is a hub, `… node dist/cli/main.js agent` an agent.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY shared ./shared
COPY client ./client
COPY agent ./agent
COPY simulate ./simulate
COPY server ./server
COPY cli ./cli
COPY dashboard ./dashboard
RUN npm run build
RUN npm ci --omit=dev

FROM node:24-bookworm-slim
# Only here: in the stage above, it would make npm leave out the compiler.
ENV NODE_ENV=production
# Loopback would be the container's own. A hub refuses to listen here until both token lists are set.
ENV HOST=0.0.0.0
WORKDIR /app
# The program reads package.json for its version.
COPY package.json LICENSE ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
EXPOSE 8080
# Alive is enough here: a hub that has lost its store keeps its agents, and must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 8080) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# node itself, not npm: npm does not hand SIGTERM on. With WORKERS=auto and a REDIS_URL it uses every core.
CMD ["node", "dist/cli/main.js", "hub"]
