import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The page is built to files that the hub serves: relative addresses, so that a proxy may put it below a path. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [react()],
  build: {
    outDir: '../dist/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    // The Content-Security-Policy knows no inline script, and everything comes from the hub as a file.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // One file, 140 KB over the wire: cut in pieces it would only come later.
    chunkSizeWarningLimit: 1_000,
  },
});
