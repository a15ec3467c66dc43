import { env, listSupportedBackends } from '../runtime.js'
import type { FloatArray } from '../../tensor.js'
import type { Engine } from '../engine.js'
import { openOnnxRuntimeEngine } from '../onnxruntime.js'
import { providersOf } from '../session-options.js'
import { DEVICE_FORMS } from './forms.js'
import type { Device } from './names.js'
import { probeGraph } from './probe-graph.js'
import type { ProbeGraph } from './probe-graph.js'
import type { ProbeMessage, ProbeQuestion } from './probe-message.js'

/** The first run makes ready, the second is measured and its placement read. */
const RUNS = 2

// what hardware there is, ONNX Runtime says at this level only; the parent reads it
env.logLevel = 'info'

/** Computes the small gradient on the CPU and on the device. Rejects where either can't. */
export async function tryDevice({ device, scratch }: ProbeQuestion): Promise<ProbeMessage> {
  const backends = listSupportedBackends().map(({ name }) => name)
  const missing = providersOf(device).filter((name) => !backends.includes(name))
  if (missing.length > 0) return { failure: 'not built in', backends }
  const graph = probeGraph(DEVICE_FORMS[device])
  const expected = await resultsOn('cpu', graph, scratch)
  if (device === 'cpu') return { error: 0, ms: expected.ms, placement: undefined }
  const got = await resultsOn(device, graph, scratch)
  return { error: distance(got.values, expected.values), ms: got.ms, placement: got.placement }
}

interface Results {
  readonly values: readonly FloatArray[]
  readonly ms: number
  readonly placement: Engine['placement']
}

/** The loss and all gradients, and the milliseconds of the last run. */
async function resultsOn(device: Device, graph: ProbeGraph, scratch: string): Promise<Results> {
  const { model, program, parameters, split } = graph
  const engine = await openOnnxRuntimeEngine(model, program, {
    threads: 1,
    scratch,
    placing: { device, strict: false },
  })
  const batch = { start: 0, count: split.samples, size: split.samples }
  let values: FloatArray[] = []
  let ms = 0
  for (let run = 0; run < RUNS; run += 1) {
    const begun = performance.now()
    const { numerator, gradient } = await engine.run(parameters, split, batch)
    ms = performance.now() - begun
    values = [Float64Array.of(numerator), ...[...parameters.keys()].map((name) => gradient(name)!.slice())]
  }
  const { placement } = engine
  await engine.close()
  return { values, ms, placement }
}

/** The largest difference within an array, relative to the largest number there; NaN where a number is none. */
function distance(got: readonly FloatArray[], expected: readonly FloatArray[]): number {
  let worst = 0
  expected.forEach((values, i) => {
    let [scale, difference] = [0, 0]
    values.forEach((value, j) => {
      scale = Math.max(scale, Math.abs(value))
      difference = Math.max(difference, Math.abs(got[i]![j]! - value))
    })
    worst = Math.max(worst, difference / scale)
  })
  return worst
}
