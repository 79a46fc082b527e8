import { defineConfig } from "vite";

// One origin, no inlined assets: the page's content security policy allows nothing else.
export default defineConfig({
  base: "/",
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: false },
  worker: { format: "es" },
  server: { proxy: { "/v1": "http://127.0.0.1:8080" } },
});
