import type { Engine } from './engine.js'
import { openOnnxRuntimeEngine } from './onnxruntime.js'
import { QuickerEngine } from './quicker.js'
import type { SessionSettings } from './session-options.js'
import type { OnnxRuntimeSetup } from './setup.js'

/**
 * Opens ONNX Runtime as a setup describes it.
 * @throws EngineError when it can't load the gradient
 */
export async function openSetup(setup: OnnxRuntimeSetup, options: SessionSettings): Promise<Engine> {
  const { model, program, device, strict, looped, loops } = setup
  const settings = { ...options, placing: { device, strict } }
  const each = (): Promise<Engine> => openOnnxRuntimeEngine(model, program, settings)
  if (looped === undefined || loops === false) return each()
  const { openLoopedEngine } = await import('./looped.js')
  const inGraph = (): Promise<Engine> => openLoopedEngine(looped, program, settings)
  return loops === true ? inGraph() : QuickerEngine.of(each, inGraph)
}
