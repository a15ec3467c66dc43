/** The worker's program, with faults: instead of some tasks, when it is their turn, it dies or fails. */
import { writeSync } from 'node:fs'
import { EngineError } from '../../src/errors.js'
import { PointEvaluator } from '../../src/replay/workers/point-evaluator.js'
import { faultAt } from './faults.js'
import type { FaultKind } from './faults.js'

/** What Node.js 20 writes when its heap is full, shortened. */
const HEAP_IS_FULL = `
<--- JS stacktrace --->

FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
----- Native stack trace -----

${Array.from({ length: 20 }, (_, i) => `${String(i + 1).padStart(2)}: 0x10e91f1 v8::internal::HeapAllocator::AllocateRawWithRetryOrFailSlowPath(int, v8::internal::AllocationType) [node]`).join('\n')}
`

const BAD_ALLOC = `terminate called after throwing an instance of 'std::bad_alloc'
  what():  std::bad_alloc
`

const CUDA_OUT_OF_MEMORY =
  'Non-zero status code returned while running Gemm node. bfc_arena.cc:376 AllocateRawInternal ' +
  'Failed to allocate memory for requested buffer of size 8388608000'

const evaluator: Pick<PointEvaluator, 'evaluate'> = PointEvaluator.prototype
const evaluate = evaluator.evaluate
evaluator.evaluate = function (this: PointEvaluator, part, onSamples) {
  const { out, cut } = part.task
  suffer(faultAt(out, cut.size))
  return evaluate.call(this, part, onSamples)
}

suffer(faultAt('start', 0))
await import('../../src/replay/workers/worker-main.js')

function suffer(fault: FaultKind | undefined): void {
  if (fault === undefined) return
  if (fault === 'killed') process.kill(process.pid, 'SIGKILL')
  if (fault === 'exit') process.exit(3)
  if (fault === 'engine: CUDA out of memory')
    throw new EngineError(`ONNX Runtime failed to run the graph: ${CUDA_OUT_OF_MEMORY}`)
  if (fault === 'engine: bad_alloc')
    throw new EngineError('ONNX Runtime failed to run the graph: std::bad_alloc')
  writeSync(process.stderr.fd, fault === 'heap' ? HEAP_IS_FULL : BAD_ALLOC)
  process.abort()
}
