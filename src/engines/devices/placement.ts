import type { Device } from './names.js'

/** Where the nodes of a session were computed, and where the time went. */
export interface Placement {
  /** Nodes that ran, on the device and elsewhere, each once however often it ran. */
  readonly nodes: number
  readonly onDevice: number
  /** Nodes that the CPU computed, by operator, the most frequent first. */
  readonly elsewhere: readonly { readonly op: string; readonly nodes: number }[]
  /** Milliseconds of the measured run, and of it those that the CPU spent in nodes. */
  readonly ms: number
  readonly msElsewhere: number
  /** Nodes that ONNX Runtime added to carry values to the device and back. */
  readonly copies: number
}

/** One event of ONNX Runtime's profile, in the trace format of Chrome; times in microseconds. */
interface ProfileEvent {
  readonly cat?: string
  readonly name?: string
  readonly ts?: number
  readonly dur?: number
  readonly args?: {
    readonly op_name?: string
    readonly provider?: string
    readonly node_index?: string
  }
}

/** What ONNX Runtime calls the execution providers in profiles. TensorRT leaves to CUDA what it has no form for. */
const PROVIDERS: Readonly<Record<Device, readonly string[]>> = {
  cpu: ['CPUExecutionProvider'],
  cuda: ['CUDAExecutionProvider'],
  tensorrt: ['TensorrtExecutionProvider', 'CUDAExecutionProvider'],
  webgpu: ['WebGpuExecutionProvider'],
  directml: ['DmlExecutionProvider'],
  coreml: ['CoreMLExecutionProvider'],
}

const COPIES = ['MemcpyToHost', 'MemcpyFromHost']

/** Operators that run other nodes: their time is that of those. */
const CONTROL_FLOW = ['If', 'Loop', 'Scan']

const NODE_END = '_kernel_time'

/**
 * Reads where nodes ran from a profile of ONNX Runtime (`enableProfiling`). A device's provider returns before the device
 * is done, so that only the time of nodes on the CPU is known for certain: what is left of the run counts as the device's.
 * Where several runs were profiled the last is read, since the first one's time is that of making ready.
 *
 * @throws SyntaxError where the text is no JSON
 */
export function readPlacement(profile: string, device: Device): Placement {
  const events = JSON.parse(profile) as readonly ProfileEvent[]
  const [from, to] = lastRun(events)
  const ran = events.filter(({ cat, name, ts = 0 }) => {
    return cat === 'Node' && name?.endsWith(NODE_END) === true && ts >= from && ts <= to
  })
  const nodes = new Map<string, { readonly op: string; readonly onDevice: boolean }>()
  let [elsewhere, copies] = [0, 0]
  for (const { name, dur = 0, args = {} } of ran) {
    const { op_name: op = '?', provider = '', node_index: index = '' } = args
    const onDevice = PROVIDERS[device].includes(provider)
    if (!onDevice && !CONTROL_FLOW.includes(op) && !COPIES.includes(op)) elsewhere += dur
    const key = `${index} ${name!}`
    if (COPIES.includes(op)) copies += nodes.has(key) ? 0 : 1
    nodes.set(key, { op, onDevice })
  }
  const counted = [...nodes.values()].filter(({ op }) => !COPIES.includes(op))
  return {
    nodes: counted.length,
    onDevice: counted.filter(({ onDevice }) => onDevice).length,
    elsewhere: byOperator(counted.filter(({ onDevice }) => !onDevice).map(({ op }) => op)),
    ms: (to - from) / 1000,
    msElsewhere: Math.min(elsewhere, to - from) / 1000,
    copies,
  }
}

/** Share of a run's time that the CPU did not spend in nodes, 0 to 1. */
export function shareOfTime({ ms, msElsewhere }: Placement): number {
  return ms > 0 ? 1 - msElsewhere / ms : 1
}

/** `Shape ×3, Gather`. */
export function operatorList({ elsewhere }: Placement): string {
  return elsewhere.map(({ op, nodes }) => (nodes === 1 ? op : `${op} ×${nodes}`)).join(', ')
}

/** Begin and end of the last run, in microseconds; everything where a profile does not tell runs apart. */
function lastRun(events: readonly ProfileEvent[]): readonly [number, number] {
  const run = events.findLast(({ name }) => name === 'model_run')
  if (run?.ts !== undefined) return [run.ts, run.ts + (run.dur ?? 0)]
  const ends = events.map(({ ts = 0, dur = 0 }) => ts + dur)
  return [0, ends.reduce((last, end) => Math.max(last, end), 0)]
}

function byOperator(operators: readonly string[]): Placement['elsewhere'] {
  const counts = new Map<string, number>()
  for (const op of operators) counts.set(op, (counts.get(op) ?? 0) + 1)
  return [...counts]
    .map(([op, nodes]) => ({ op, nodes }))
    .sort((a, b) => b.nodes - a.nodes || (a.op < b.op ? -1 : 1))
}
