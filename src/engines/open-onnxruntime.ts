import type { Engine } from './engine.js'
import { openLoopedEngine } from './looped.js'
import { openOnnxRuntimeEngine } from './onnxruntime.js'
import { QuickerEngine } from './quicker.js'
import type { SessionSettings } from './session-options.js'
import type { OnnxRuntimeSetup } from './setup.js'

/**
 * Opens ONNX Runtime as a setup describes it.
 * @throws EngineError when it can't load the gradient
 */
export async function openSetup(setup: OnnxRuntimeSetup, options: SessionSettings): Promise<Engine> {
  const { model, program, device, strict, looped } = setup
  const settings = { ...options, placing: { device, strict } }
  const each = (): Promise<Engine> => openOnnxRuntimeEngine(model, program, settings)
  if (looped === undefined) return each()
  return QuickerEngine.of(each, () => openLoopedEngine(looped, program, settings))
}
