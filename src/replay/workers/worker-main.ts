/**
 * A worker process: computes gradients with one engine, as the process that forked it asks for. ONNX Runtime blocks the
 * event loop while it runs, and ending a thread during a run ends the process, so that engines have processes of their own.
 */
import { setFlagsFromString } from 'node:v8'
import type { Engine } from '../../engines/engine.js'
import { loadAhead, openEngine } from '../../engines/open.js'
import { saysOutOfMemory } from '../../engines/out-of-memory.js'
import { DeviceError, RetrogradError } from '../../errors.js'
import { ReplayStore } from '../store/store.js'
import type { Failure, FromWorker, TaskPart, ToWorker, WorkerSetup } from './messages.js'
import { PointEvaluator } from './point-evaluator.js'
import { openSplits } from './sample-files.js'
import { LARGE_PARAMETERS } from './sizing.js'

// V8 lets the space for old objects grow with a run's length; a version that has no such flag goes without it
setFlagsFromString('--heap-growing-percent=20')

// while the parent still reads checkpoints and data
loadAhead()

/** Progress is told this often. */
const PROGRESS_MS = 100

let engine: Engine | undefined
let evaluator: PointEvaluator | undefined
let placementTold = false
let loopsTold = false
let work: Promise<void> = Promise.resolve()

// the terminal sends an interrupt to the whole group of processes: when to stop is for the parent to say
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => process.exit())
process.on('message', (message: ToWorker) => {
  work = work.then(() => handle(message))
})

async function handle(message: ToWorker): Promise<void> {
  try {
    if (message.kind === 'setup') {
      evaluator = await setUp(message.setup)
      send({ kind: 'ready' })
    } else await compute(message.id, message.part)
  } catch (error) {
    const id = message.kind === 'part' ? { id: message.id } : {}
    send({ kind: 'failed', ...id, failure: failureOf(error) })
  }
}

async function setUp(setup: WorkerSetup): Promise<PointEvaluator> {
  const { store, scratch, threads, parameters, splits, keepBytes } = setup
  const size = parameters.tensors.reduce((sum, tensor) => sum + tensor.size, 0)
  const keepMemory = size < LARGE_PARAMETERS
  engine = await openEngine(setup.engine, { threads, flushDenormals: true, keepMemory, scratch })
  const opened = openSplits(splits, keepBytes).map((data, i) => ({ data, groups: splits[i]!.groups }))
  return new PointEvaluator(engine, new ReplayStore(store), parameters, opened)
}

async function compute(id: number, part: TaskPart): Promise<void> {
  let [samples, told] = [0, Date.now()]
  const groups = await evaluator!.evaluate(part, (count) => {
    samples += count
    if (Date.now() - told < PROGRESS_MS) return
    told = Date.now()
    send({ kind: 'progress', id, samples })
    samples = 0
  })
  tellLoops()
  tellPlacement()
  send({ kind: 'done', id, groups })
}

/** Once, as soon as the engine knows where its nodes run. */
function tellPlacement(): void {
  const placement = engine?.placement
  if (placement === undefined || placementTold) return
  placementTold = true
  send({ kind: 'placement', placement })
}

/** Before the first result that depends on it. */
function tellLoops(): void {
  const loops = engine?.loops
  if (loops === undefined || loopsTold) return
  loopsTold = true
  send({ kind: 'loops', loops })
}

function send(message: FromWorker): void {
  if (process.connected) process.send?.(message)
}

function failureOf(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error)
  const expected = error instanceof RetrogradError
  const text = expected || !(error instanceof Error) ? message : (error.stack ?? message)
  return {
    message: text,
    memory: saysOutOfMemory(message),
    expected,
    device: error instanceof DeviceError,
  }
}
