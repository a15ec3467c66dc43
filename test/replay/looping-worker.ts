/** The worker's program, where the CPU is a device that may loop over micro-batches in the graph, as CUDA's may. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { loopedGradient } from '../../src/autodiff/looped.js'
import type { OnnxRuntimeSetup } from '../../src/engines/setup.js'
import type { NamedValue } from '../../src/onnx/graph.js'
import { decodeModel } from '../../src/onnx/read.js'
import { encodeModel } from '../../src/onnx/write.js'
import type { ToWorker } from '../../src/replay/workers/messages.js'

/** Which way is the quicker one, and a file that is told what each worker was set up with. */
const { QUICKER_WAY: quicker, SETUPS_FILE: log } = process.env

const on = process.on.bind(process)
process.on = ((event: string, listener: (message: ToWorker) => void) =>
  event === 'message'
    ? on('message', (message: ToWorker) => {
        listener(withLoop(message))
      })
    : on(event as 'exit', listener as never)) as typeof process.on

/** A start and an end for each way. */
const clock = quicker === 'loop' ? [0, 1e9, 0, 1] : [0, 1, 0, 1e9]
performance.now = () => clock.shift()!

await import('../../src/replay/workers/worker-main.js')

function withLoop(message: ToWorker): ToWorker {
  if (message.kind !== 'setup') return message
  const { setup } = message
  const engine = looping(setup.engine as OnnxRuntimeSetup)
  appendFileSync(log!, `${String(engine.loops)}\n`)
  return { ...message, setup: { ...setup, engine } }
}

function looping(engine: OnnxRuntimeSetup): OnnxRuntimeSetup {
  const { program, model } = engine
  const graph = decodeModel(readFileSync(model), model)
  const named = (name: string | undefined): NamedValue =>
    graph.inputs.find((input) => input.name === name) ?? { name: 'none', dtype: undefined, shape: undefined }
  const looped = `${model}.looped-${process.pid}`
  const gradients = new Map(Object.entries(program.gradients))
  const parts = { graph, gradients, inputs: program.inputs.map(named), weight: named(program.weight) }
  const target = program.target === undefined ? {} : { target: { input: named(program.target) } }
  writeFileSync(looped, encodeModel(loopedGradient({ ...parts, ...target } as never)))
  return { ...engine, looped }
}
