import type { Engine } from './engine.js'
import { openOnnxRuntimeEngine } from './onnxruntime.js'
import type { OnnxRuntimeOptions } from './onnxruntime.js'
import type { EngineSetup } from './setup.js'

/**
 * Opens the engine that a setup describes, in this process.
 * @throws EngineError when the engine can't load the gradient
 */
export async function openEngine(setup: EngineSetup, options: OnnxRuntimeOptions): Promise<Engine> {
  if (setup.engine === 'tfjs') {
    const { openTfjsEngine } = await import('./tfjs/engine.js')
    return openTfjsEngine(setup, options.threads)
  }
  return openOnnxRuntimeEngine(setup.model, setup.program, options)
}
