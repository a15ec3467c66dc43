import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

/** What the package's `bin` runs: the command line, and the threads and processes that it starts, which lie beside it. */
const ENTRIES = [
  'cli/main',
  'io/hash-worker',
  'io/hdf5-worker',
  'replay/workers/worker-main',
  'engines/devices/device-probe-main',
  'engines/devices/cuda/setup-cuda',
  'engines/tfjs/probe-main',
]

/**
 * Native code, libraries that carry WebAssembly or that the report's page carries, and what only programs that import the
 * package load: from where they are installed.
 */
const LEFT_OUT = [
  'onnxruntime-node',
  '@duckdb/node-api',
  'apache-arrow',
  'h5wasm',
  '@cornerstonejs/codec-libjpeg-turbo-8bit',
  'vega',
  'vega-lite',
]

/** Libraries in CommonJS ask for Node.js' own modules with `require`. */
const REQUIRE = `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`

const dist = fileURLToPath(new URL('../', import.meta.url))

/** The help is laid out by our own measure of text (src/cli/text-width.ts). */
const plainWidth: Plugin = {
  name: 'plain-width',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^string-width$/ }, ({ kind }) =>
      // cli-progress has a version in CommonJS, which is quick to load
      kind === 'import-statement' ? { path: `${dist}src/cli/text-width.js` } : undefined,
    )
  },
}

/**
 * Joins the compiled modules into few files: some 500 that are found, opened and compiled one by one take longer than a
 * small replay does.
 */
rmSync(`${dist}bin`, { recursive: true, force: true })
await build({
  entryPoints: ENTRIES.map((path) => ({ in: `${dist}src/${path}.js`, out: path.split('/').at(-1)! })),
  outdir: `${dist}bin`,
  bundle: true,
  splitting: true,
  // not minifyIdentifiers: names in a stack trace are what the report of a bug lives on
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: LEFT_OUT,
  plugins: [plainWidth],
  banner: { js: REQUIRE },
  logLevel: 'warning',
})

/** The program of the report's page, for browsers: beside the modules, and beside the bundle. */
for (const folder of ['src/report', 'bin'])
  await build({
    entryPoints: [`${dist}../src/report/client/main.ts`],
    outfile: `${dist}${folder}/report-client.js`,
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'iife',
    target: ['es2022'],
    logLevel: 'warning',
  })
