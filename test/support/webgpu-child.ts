/** Computes gradients on WebGPU, as the process that forked it asks for; or tries whether that can be had ('probe'). */
import { InferenceSession } from '../../src/engines/runtime.js'
import { evaluate } from '../../src/engines/create.js'
import { openOnnxRuntimeEngine } from '../../src/engines/onnxruntime.js'
import { sessionOptions } from '../../src/engines/session-options.js'
import { encodeModel } from '../../src/onnx/write.js'
import { graphOf, input, node } from './graphs.js'
import type { DeviceResult, DeviceTask, FromChild } from './webgpu.js'

const PLACING = { device: 'webgpu', strict: true } as const

async function compute({ model, program, parameters, split, size }: DeviceTask): Promise<DeviceResult> {
  const engine = await openOnnxRuntimeEngine(model, program, { placing: PLACING })
  try {
    const gradients = new Map(
      Object.keys(program.gradients).map((name) => [name, new Float64Array(parameters.get(name)!.length)]),
    )
    const { loss } = await evaluate(engine, parameters, split, { size }, gradients)
    return { loss, gradients, description: engine.description }
  } finally {
    await engine.close()
  }
}

/** A session that is there as long as the process, so that what is compiled for one network is kept for the next. */
async function smallSession(): Promise<InferenceSession> {
  const graph = graphOf({
    inputs: [input('x', [2], 'float32')],
    initializers: {},
    nodes: [node('Exp', ['x'], ['y'])],
    outputs: ['y'],
    opset: 18,
    irVersion: 8,
  })
  return InferenceSession.create(encodeModel(graph), sessionOptions(PLACING))
}

if (process.argv[2] === 'probe')
  await smallSession().then(
    (session) => session.release(),
    (error: unknown) => {
      process.stderr.write(error instanceof Error ? error.message.trim() : String(error))
      process.exitCode = 1
    },
  )
else {
  const kept = smallSession()
  process.on('disconnect', () => void kept.then((session) => session.release()))
  process.on('message', (task: DeviceTask) => {
    const failed = (error: unknown): FromChild => ({
      failure: error instanceof Error ? error.message : String(error),
    })
    void kept
      .then(() => compute(task))
      .catch(failed)
      .then((answer: FromChild) => process.send!(answer))
  })
}
