import type { Engine } from './engine.js'
import { openOnnxRuntimeEngine } from './onnxruntime.js'
import { QuickerEngine } from './quicker.js'
import type { SessionSettings } from './session-options.js'
import type { EngineSetup } from './setup.js'

/**
 * Opens the engine that a setup describes, in this process.
 * @throws EngineError when the engine can't load the gradient
 */
export async function openEngine(setup: EngineSetup, options: SessionSettings): Promise<Engine> {
  if (setup.engine === 'tfjs') {
    const { openTfjsEngine } = await import('./tfjs/engine.js')
    return openTfjsEngine(setup, options.threads)
  }
  const { model, program, device, strict, looped, loops } = setup
  const settings = { ...options, placing: { device, strict } }
  const each = (): Promise<Engine> => openOnnxRuntimeEngine(model, program, settings)
  if (looped === undefined || loops === false) return each()
  const { openLoopedEngine } = await import('./looped.js')
  const inGraph = (): Promise<Engine> => openLoopedEngine(looped, program, settings)
  return loops === true ? inGraph() : QuickerEngine.of(each, inGraph)
}
