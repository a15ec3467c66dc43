import type { InferenceSession } from './runtime.js'
import type { Device } from './devices/names.js'

/** ONNX Runtime logs warnings about graphs to stderr; only errors are shown. */
const LOG_ERRORS_ONLY = 3
const LOG_FATAL_ONLY = 4

/** Where a session computes. */
export interface Placing {
  readonly device: Device
  /** Whether a node that no provider of the device takes is an error, rather than one for the CPU. */
  readonly strict: boolean
}

export interface SessionSettings {
  /** Threads of one session; by default what ONNX Runtime chooses (the physical cores). */
  readonly threads?: number
  /**
   * Takes numbers below 1e-38 (float32) for zero: processors take a hundred times as long for them, and masked attention
   * makes many. It holds for the whole process, JavaScript included, so that it is for processes that do nothing else.
   */
  readonly flushDenormals?: boolean
  /**
   * Whether memory is kept from one run to the next, which is quicker; by default it is. What is kept grows to more than
   * a run ever holds, since blocks are taken by the power of two.
   */
  readonly keepMemory?: boolean
  /** A folder for files of a session's own, which its owner clears; by default that of the system for temporary files. */
  readonly scratch?: string
  /** Measures every node until the session's `endProfiling`, into a file whose path begins so. */
  readonly profilePrefix?: string
}

/**
 * Execution providers by device, as the Node binding names them (js/node/src/session_options_helper.cc of ONNX Runtime
 * 1.30). A node goes to the first that takes it. TensorRT leaves what it has no form for to CUDA, which is the same
 * device; the CPU's provider always comes last, named or not.
 */
const PROVIDERS: Readonly<Record<Device, readonly string[]>> = {
  cpu: ['cpu'],
  cuda: ['cuda'],
  tensorrt: ['tensorrt', 'cuda'],
  webgpu: ['webgpu'],
  directml: ['dml'],
  coreml: ['coreml'],
}

/** The execution providers of a device, by the binding's names. */
export function providersOf(device: Device): readonly string[] {
  return PROVIDERS[device]
}

/**
 * A Core ML program instead of a "neural network", whose values are float16 on GPU and neural engine
 * (COREML_FLAG_CREATE_MLPROGRAM of coreml_provider_factory.h).
 */
const COREML = { name: 'coreml', coreMlFlags: 0x010 } as const

/** DirectML's provider refuses sessions that plan memory ahead or run nodes side by side. */
const WITHOUT_MEMORY_PATTERN: readonly Device[] = ['directml']

/** How a session is made: ONNX Runtime's defaults, which no other setting was quicker than. */
export function sessionOptions(
  { device, strict }: Placing,
  { threads, flushDenormals, keepMemory = true, profilePrefix }: SessionSettings = {},
): InferenceSession.SessionOptions {
  const session = {
    ...(flushDenormals === true && { set_denormal_as_zero: '1' }),
    ...(strict && device !== 'cpu' && { disable_cpu_ep_fallback: '1' }),
  }
  return {
    executionProviders: device === 'coreml' ? [COREML] : PROVIDERS[device],
    graphOptimizationLevel: 'all',
    // what --strict-device refuses is told by an error that names it
    logSeverityLevel: strict && device !== 'cpu' ? LOG_FATAL_ONLY : LOG_ERRORS_ONLY,
    enableCpuMemArena: keepMemory,
    ...(WITHOUT_MEMORY_PATTERN.includes(device) && { enableMemPattern: false }),
    ...(Object.keys(session).length > 0 && { extra: { session } }),
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    ...(profilePrefix !== undefined && { enableProfiling: true, profileFilePrefix: profilePrefix }),
  }
}
