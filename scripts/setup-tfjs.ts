/**
 * Makes the native binding of @tensorflow/tfjs-node, which `npm ci --ignore-scripts` leaves out: npm run setup:tfjs.
 * First as the package's own installation does it, which downloads libtensorflow; where that can't be reached, against
 * the library of the Python package tensorflow-cpu. Does nothing where the binding loads.
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { tfjsBackends } from '../src/engines/tfjs/probe.js'
import { buildBinding } from './setup-tfjs/binding.js'
import { lastLines, run, SetupError, step } from './setup-tfjs/commands.js'
import { tensorflowLibrary } from './setup-tfjs/library.js'

const PACKAGE = '@tensorflow/tfjs-node'
const DOWNLOADS = 'https://storage.googleapis.com/tensorflow/'
const REACH_MS = 5000
const INSTALL_MS = 300_000

const require = createRequire(import.meta.url)

try {
  await setUp()
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(`setup:tfjs: ${error.message}`)
  process.exitCode = 1
}

async function setUp(): Promise<void> {
  const folder = packageFolder()
  if (loads()) return
  if (await reachable()) install()
  else step(`${DOWNLOADS} can't be reached: going by the Python package tensorflow-cpu`)
  if (loads()) return
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new SetupError(
      `the library of tensorflow-cpu serves Linux on x64 alone, and this is ${process.platform} on ${process.arch}; ` +
        `with a network that reaches ${DOWNLOADS}: npm rebuild ${PACKAGE} --ignore-scripts=false`,
    )
  buildBinding(folder, nodeHeaders(), tensorflowLibrary(cacheFolder()))
  if (!loads()) throw new SetupError(`the binding was built, but it does not load: ${reason()}`)
}

function packageFolder(): string {
  try {
    return dirname(require.resolve(`${PACKAGE}/package.json`))
  } catch {
    throw new SetupError(`${PACKAGE} is not installed: npm ci`)
  }
}

/** Headers of Node-API, which have an ABI that does not depend on Node's version. */
function nodeHeaders(): string {
  const { include_dir } = require('node-api-headers') as { include_dir: string }
  return include_dir
}

/** Outlives node_modules, which `npm ci` empties. */
function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'retrograd')
}

function native(): ReturnType<typeof tfjsBackends>[number] {
  return tfjsBackends().find(({ name }) => name === 'tfjs-node')!
}

function loads(): boolean {
  const { loads: does, version } = native()
  if (does) step(`${PACKAGE} ${version ?? ''} loads`)
  return does
}

function reason(): string {
  return native().reason ?? ''
}

async function reachable(): Promise<boolean> {
  try {
    await fetch(DOWNLOADS, { method: 'HEAD', signal: AbortSignal.timeout(REACH_MS) })
    return true
  } catch {
    return false
  }
}

/** What `npm install` would do if it ran scripts. */
function install(): void {
  step(`installing as ${PACKAGE} does it: downloading libtensorflow`)
  const root = dirname(require.resolve('../../package.json'))
  const { ok, output } = run('npm', ['rebuild', PACKAGE, '--ignore-scripts=false'], {
    cwd: existsSync(root) ? root : process.cwd(),
    timeout: INSTALL_MS,
  })
  if (!ok) step(`that failed:\n${lastLines(output, 4)}`)
}
