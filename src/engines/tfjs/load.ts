import { DeviceError, reasonOf } from '../../errors.js'
import { INSTALL_LINE, TFJS_PACKAGES, bindingRemedy, installedVersion, requireHere } from './packages.js'
import type { TfjsBackendName } from './packages.js'
import { restoreUtilFunctions } from './util-functions.js'

/** The library of TensorFlow.js. */
export type Tf = typeof import('@tensorflow/tfjs')

/** TensorFlow.js, ready to compute. */
export interface LoadedTfjs {
  readonly tf: Tf
  readonly name: TfjsBackendName
  /** Version of the package. */
  readonly version: string
  /** Version of the TensorFlow library behind the native binding. */
  readonly tensorflow?: string
  /** Whether it computes on a GPU. */
  readonly gpu: boolean
}

/** What a backend with a native binding holds. */
interface NativeBackend {
  readonly binding?: { readonly TF_Version?: string }
  readonly isUsingGpuDevice?: boolean
}

/** Of TensorFlow's own messages only errors are shown: the others would stand between lines of progress. */
const LOG_ERRORS_ONLY = '2'

/**
 * Loads one way of running TensorFlow.js in this process, for good: two with native bindings can't be in one process.
 * @param threads that TensorFlow may use for one operation; by default all cores. Results depend on it in their last bits.
 * @throws DeviceError where the package is not installed, or does not load
 */
export async function loadTfjs(name: TfjsBackendName, threads?: number): Promise<LoadedTfjs> {
  const { package: wanted, backend } = TFJS_PACKAGES[name]
  const version = installedVersion(wanted)
  if (version === undefined) throw new DeviceError(`${wanted} is not installed: ${installLine(name)}`)
  settle(threads)
  const tf = requireTf(name)
  tf.enableProdMode()
  const ready = await tf.setBackend(backend).catch((error: unknown) => reasonOf(error))
  if (ready !== true)
    throw new DeviceError(
      `${wanted} ${version} does not start${ready === false ? '' : `: ${oneLine(ready)}`}; reinstall it: ${installLine(name)}`,
    )
  await tf.ready()
  const native = backend === 'tensorflow' ? (tf.backend() as NativeBackend) : undefined
  const tensorflow = native?.binding?.TF_Version
  return {
    tf,
    name,
    version,
    gpu: native?.isUsingGpuDevice === true,
    ...(tensorflow !== undefined && { tensorflow }),
  }
}

/** The settings that TensorFlow's library reads from the environment when it is loaded. */
function settle(threads: number | undefined): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= LOG_ERRORS_ONLY
  // oneDNN rounds otherwise from one processor to the next
  process.env.TF_ENABLE_ONEDNN_OPTS ??= '0'
  process.env.TF_DETERMINISTIC_OPS ??= '1'
  // matrix units of NVIDIA would round factors to 10 bits
  process.env.NVIDIA_TF32_OVERRIDE ??= '0'
  if (threads === undefined) return
  process.env.TF_NUM_INTRAOP_THREADS = String(threads)
  process.env.TF_NUM_INTEROP_THREADS = '1'
}

function requireTf(name: TfjsBackendName): Tf {
  const { package: wanted, backend } = TFJS_PACKAGES[name]
  restoreUtilFunctions()
  try {
    if (backend === 'tensorflow') return requireHere(wanted) as Tf
    const tf = requireHere('@tensorflow/tfjs') as Tf
    if (backend === 'wasm') requireHere(wanted)
    return tf
  } catch (error) {
    const remedy = backend === 'tensorflow' ? bindingRemedy(wanted) : installLine(name)
    throw new DeviceError(`${wanted} is installed, but ${whyNot(error, backend)}: ${remedy}`)
  }
}

function whyNot(error: unknown, backend: string): string {
  const reason = reasonOf(error)
  if (backend === 'tensorflow' && /native addon module .*can ?not be found/is.test(reason))
    return 'its native binding is not there (packages installed under ignore-scripts lack it)'
  return `it does not load (${oneLine(reason)})`
}

function installLine(name: TfjsBackendName): string {
  if (name === 'tfjs-node') return INSTALL_LINE
  const { package: wanted } = TFJS_PACKAGES[name]
  return INSTALL_LINE.replace(
    '@tensorflow/tfjs-node',
    name === 'wasm' ? `@tensorflow/tfjs ${wanted}` : wanted,
  )
}

function oneLine(text: string): string {
  return text.split('\n', 1)[0]!.trim()
}
