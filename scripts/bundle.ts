import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** What the package's `bin` runs: the command line and the threads that it starts, which lie beside it. */
const ENTRIES = ['cli/main', 'io/hash-worker', 'io/hdf5-worker']

/** Native code, and libraries that carry WebAssembly, are loaded from where they are installed. */
const LEFT_OUT = ['onnxruntime-node', 'h5wasm', '@cornerstonejs/codec-libjpeg-turbo-8bit']

/** Libraries in CommonJS ask for Node.js' own modules with `require`. */
const REQUIRE = `import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);`

const dist = fileURLToPath(new URL('../', import.meta.url))

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
  banner: { js: REQUIRE },
  logLevel: 'warning',
})
