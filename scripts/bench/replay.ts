import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats } from '../../src/data/convert.js'
import { median, PYTHON, reference, SHARED } from './common.js'

const ROUNDS = 5

interface Replay {
  readonly folder: string
  readonly net: string
  /** How often the data set is repeated. */
  readonly repeat: number
  readonly peerBatch: number
}

export const REPLAYS: Readonly<Record<string, Replay>> = {
  fc: { folder: 'mnist-fc', net: 'FC', repeat: 8, peerBatch: 1000 },
  lenet: { folder: 'lenet', net: 'LeNet', repeat: 20, peerBatch: 200 },
}

interface Run {
  readonly seconds: number
  readonly megabytes: number
}

/** The repeated data set as a folder of .npy files; `train.npz` holds x float32 and y int64. */
async function repeatedData(one: Replay, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const file = await openArrayFile(join(reference(one.folder), 'train.npz'))
  for (const array of file.arrays) {
    if (!('dtype' in array)) continue
    const values = await readFloats(array, 'float32', 1)
    const whole = new Float32Array(values.length * one.repeat)
    for (let i = 0; i < one.repeat; i += 1) whole.set(values, i * values.length)
    const shape = [array.shape[0]! * one.repeat, ...array.shape.slice(1)]
    const integers = array.name === 'y'
    const data = integers ? BigInt64Array.from(whole, BigInt) : whole
    writeFileSync(join(folder, `${array.name}.npy`), npy(integers ? '<i8' : '<f4', shape, data))
  }
}

function npy(type: string, shape: readonly number[], data: Float32Array | BigInt64Array): Buffer {
  const header = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`
  const text = Buffer.from(header.padEnd(117) + '\n')
  const length = Buffer.alloc(2)
  length.writeUInt16LE(text.length)
  const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1')
  return Buffer.concat([magic, length, text, Buffer.from(data.buffer)])
}

function peer(one: Replay, work: string): Run {
  const folder = reference(one.folder)
  const args = [
    '--net',
    one.net,
    '--checkpoints',
    join(folder, 'checkpoints'),
    '--train',
    join(folder, 'train.npz'),
  ]
  const sizes = ['--repeat-data', String(one.repeat), '--batch-size', String(one.peerBatch)]
  const script = join(SHARED, 'bench', 'pytorch_lca.py')
  const run = spawnSync(PYTHON, [script, ...args, ...sizes, '--out', join(work, 'peer.parquet')], {
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(`the peer failed (PYTHON=${PYTHON} must have torch): ${run.stderr}`)
  const { seconds, peak_rss_mb: megabytes } = JSON.parse(run.stdout) as {
    seconds: number
    peak_rss_mb: number
  }
  return { seconds, megabytes }
}

/** Prints its own peak memory when it ends; loaded before the command line. */
const MEASURE = `data:text/javascript,process.on('exit',()=>process.stderr.write('\\nrss '+process.resourceUsage().maxRSS))`

function own(one: Replay, work: string): Run {
  const folder = reference(one.folder)
  const args = [
    'run',
    join(folder, 'checkpoints'),
    '--model',
    join(folder, 'model.onnx'),
    '--train',
    join(work, 'data'),
  ]
  const options = [
    '--loss',
    'cross-entropy',
    '--max-splits',
    '2',
    '--tolerance',
    '1',
    '--out',
    join(work, 'out'),
  ]
  const main = new URL('../../bin/main.js', import.meta.url).pathname
  const started = process.hrtime.bigint()
  const run = spawnSync(process.execPath, ['--import', MEASURE, main, ...args, ...options, '--overwrite'], {
    encoding: 'utf8',
  })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  if (run.status !== 0) throw new Error(`retrograd failed: ${run.stderr}`)
  return { seconds, megabytes: Math.round(Number(/rss (\d+)/.exec(run.stderr)![1]) / 1024) }
}

/**
 * Times a whole replay in turn with the peer (../shared/bench/pytorch_lca.py), which times its own work without imports;
 * retrograd's time is the whole process, start-up and tables included. Prints the ratio of the medians.
 */
export async function benchReplay(name: string): Promise<void> {
  const one = REPLAYS[name]
  if (one === undefined) throw new Error(`no case ${name}; cases: ${Object.keys(REPLAYS).join(' ')}`)
  const work = mkdtempSync(join(tmpdir(), 'retrograd-bench-'))
  try {
    await repeatedData(one, join(work, 'data'))
    const [theirs, ours]: [Run[], Run[]] = [[], []]
    for (let round = 0; round < ROUNDS; round += 1) {
      theirs.push(peer(one, work))
      ours.push(own(one, work))
    }
    const [a, b] = [median(ours.map((run) => run.seconds)), median(theirs.map((run) => run.seconds))]
    const memory = `${median(ours.map((run) => run.megabytes))} MB against ${median(theirs.map((run) => run.megabytes))} MB`
    console.log(
      `${name}: median of ${ROUNDS}, ratio ${(a / b).toFixed(2)} (retrograd ${a.toFixed(2)} s, PyTorch ${b.toFixed(2)} s; peak ${memory})`,
    )
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
