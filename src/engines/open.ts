import type { Engine } from './engine.js'
import { openOnnxRuntimeEngine } from './onnxruntime.js'
import type { SessionSettings } from './session-options.js'
import type { EngineSetup } from './setup.js'

/**
 * Opens the engine that a setup describes, in this process.
 * @throws EngineError when the engine can't load the gradient
 */
export function openEngine(setup: EngineSetup, options: SessionSettings): Promise<Engine> {
  const { model, program, device, strict } = setup
  return openOnnxRuntimeEngine(model, program, { ...options, placing: { device, strict } })
}
