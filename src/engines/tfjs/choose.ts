import { DeviceError, UsageError } from '../../errors.js'
import type { DeviceChoice } from '../devices/names.js'
import { loadTfjs } from './load.js'
import type { LoadedTfjs } from './load.js'
import { INSTALL_LINE, TFJS_BACKENDS, TFJS_PACKAGES, installedVersion } from './packages.js'
import type { TfjsBackendName } from './packages.js'

export interface ChosenTfjs extends LoadedTfjs {
  /** What a user should know of the choice, one sentence each. */
  readonly notes: readonly string[]
}

/** How packages are found and loaded; tests put their own. */
export interface Packages {
  readonly version: (name: string) => string | undefined
  readonly load: (name: TfjsBackendName) => Promise<LoadedTfjs>
}

const INSTALLED: Packages = { version: installedVersion, load: (name) => loadTfjs(name) }

/** A variable of the environment that names the way to take, for comparisons. */
export const BACKEND_VARIABLE = 'RETROGRAD_TFJS_BACKEND'

/** The ways that serve a device, in the order in which they are tried. */
const BY_DEVICE: Readonly<Partial<Record<DeviceChoice, readonly TfjsBackendName[]>>> = {
  auto: ['tfjs-node-gpu', 'tfjs-node', 'wasm', 'js'],
  cpu: ['tfjs-node', 'wasm', 'js'],
  cuda: ['tfjs-node-gpu'],
}

/**
 * Loads the quickest way to run TensorFlow.js on a device that is installed and loads, in this process.
 * @throws DeviceError for a device that TensorFlow.js has not, and where nothing is installed
 */
export async function chooseTfjs(device: DeviceChoice, packages: Packages = INSTALLED): Promise<ChosenTfjs> {
  const ways = BY_DEVICE[device]
  if (ways === undefined)
    throw new DeviceError(
      `--device ${device}: the engine tfjs computes on cpu, or on cuda with @tensorflow/tfjs-node-gpu; ` +
        `use one of these, or --engine onnxruntime with the network as ONNX`,
    )
  const only = namedBackend()
  const failures: string[] = []
  for (const name of ways.filter((way) => only === undefined || way === only)) {
    if (packages.version(TFJS_PACKAGES[name].package) === undefined) continue
    try {
      const loaded = await packages.load(name)
      if (device === 'cuda' && !loaded.gpu) throw noGpu(name)
      return { ...loaded, notes: notesOf(loaded, failures, only) }
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error
      failures.push(error.message)
    }
  }
  throw nothingLoads(device, failures, only)
}

function namedBackend(): TfjsBackendName | undefined {
  const given = process.env[BACKEND_VARIABLE]
  if (given === undefined || given === '') return undefined
  const name = TFJS_BACKENDS.find((one) => one === given)
  if (name !== undefined) return name
  throw new UsageError(`${BACKEND_VARIABLE}=${given}: one of ${TFJS_BACKENDS.join(', ')} is needed`)
}

function noGpu(name: TfjsBackendName): DeviceError {
  return new DeviceError(
    `${TFJS_PACKAGES[name].package} finds no GPU: it needs CUDA 11.2 and cuDNN 8.1 on Linux; see docs/tfjs.md`,
  )
}

function nothingLoads(
  device: DeviceChoice,
  failures: readonly string[],
  only: TfjsBackendName | undefined,
): DeviceError {
  if (failures.length > 0) return new DeviceError(`--engine tfjs: ${failures.join('; ')}`)
  if (only !== undefined && BY_DEVICE[device]?.includes(only) !== true)
    return new DeviceError(
      `--device ${device}: ${BACKEND_VARIABLE}=${only} does not compute there; take the variable away`,
    )
  const wanted = only ?? (device === 'cuda' ? 'tfjs-node-gpu' : undefined)
  const name = wanted === undefined ? '@tensorflow/tfjs-node' : TFJS_PACKAGES[wanted].package
  const line = INSTALL_LINE.replace('@tensorflow/tfjs-node', name)
  const what = wanted === undefined ? 'TensorFlow.js' : name
  return new DeviceError(`--engine tfjs: ${what} is not installed; install it: ${line}`)
}

function notesOf(
  { name }: LoadedTfjs,
  failures: readonly string[],
  only: TfjsBackendName | undefined,
): string[] {
  if (TFJS_PACKAGES[name].backend === 'tensorflow') return [...failures]
  const slow =
    name === 'js' ? 'in pure JavaScript, some hundred times slower' : 'in WebAssembly, some times slower'
  const absent =
    only === undefined ? `for the native library: ${INSTALL_LINE}` : `${BACKEND_VARIABLE} names it`
  const way = failures.length > 0 ? failures.join('; ') : absent
  return [`TensorFlow.js computes ${slow} than its native library; ${way}`]
}
