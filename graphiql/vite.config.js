import { defineConfig } from "vite";

export default defineConfig({
  base: "/graphiql/",
  build: {
    // What a worker or a font needs must be a file of this origin: the page's
    // Content-Security-Policy lets no script come from a data: address.
    assetsInlineLimit: 0,
    // Monaco is one big chunk however it is cut, so the warning would say nothing.
    chunkSizeWarningLimit: 5000,
    rolldownOptions: {
      onLog(level, log, report) {
        // A hundred of "use client", which means something to server-side React only.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
});
