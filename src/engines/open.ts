import type { Engine } from './engine.js'
import { loaded } from './load-runtime.js'
import type { SessionSettings } from './session-options.js'
import type { EngineSetup, OnnxRuntimeSetup } from './setup.js'

const load = (): Promise<typeof import('./open-onnxruntime.js')> => import('./open-onnxruntime.js')

/** Loads ONNX Runtime ahead of its use. Where it does not load, opening an engine says so. */
export function loadAhead(): void {
  loaded(load).catch(() => undefined)
}

/**
 * Opens the engine that a setup describes, in this process. Neither engine needs the other's library.
 * @throws EngineError when the engine can't load the gradient
 * @throws DeviceError when the engine's library does not load here
 */
export async function openEngine(setup: EngineSetup, options: SessionSettings): Promise<Engine> {
  if (setup.engine === 'tfjs') {
    const { openTfjsEngine } = await import('./tfjs/engine.js')
    return openTfjsEngine(setup, options.threads)
  }
  return openOnnxRuntime(setup, options)
}

async function openOnnxRuntime(setup: OnnxRuntimeSetup, options: SessionSettings): Promise<Engine> {
  const { openSetup } = await loaded(load)
  return openSetup(setup, options)
}
