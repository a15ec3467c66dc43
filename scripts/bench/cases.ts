import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { reference } from './common.js'
import { SPLITS, writeRepeated } from './repeated-data.js'

/** A recorded run of the reference data, repeated until a replay takes seconds. */
export interface ReplayCase {
  readonly folder: string
  /** What PyTorch's program calls the network. */
  readonly net: string
  /** How often the data are repeated. */
  readonly repeat: number
  readonly peerBatch: number
}

export const CASES: Readonly<Record<string, ReplayCase>> = {
  fc: { folder: 'mnist-fc', net: 'FC', repeat: 8, peerBatch: 1000 },
  'fc-long': { folder: 'mnist-fc', net: 'FC', repeat: 32, peerBatch: 1000 },
  lenet: { folder: 'lenet', net: 'LeNet', repeat: 20, peerBatch: 200 },
  gpt: { folder: 'gpt', net: 'GPT', repeat: 8, peerBatch: 128 },
}

export function caseOf(name: string): ReplayCase {
  const one = CASES[name]
  if (one === undefined) throw new Error(`no case ${name}; cases: ${Object.keys(CASES).join(' ')}`)
  return one
}

/** Runs something in a folder that holds a case's data; the folder is removed afterwards. */
export async function withData(one: ReplayCase, use: (work: string) => Promise<void>): Promise<void> {
  await inFolder(async (work) => {
    await writeRepeated(one.folder, one.repeat, work)
    await use(work)
  })
}

export async function inFolder(use: (work: string) => Promise<void>): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'retrograd-bench-'))
  try {
    await use(work)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Arguments of a replay of the case in two parts for every interval, as PyTorch's program does it. */
export function replayArguments({ folder }: ReplayCase, work: string): string[] {
  const network = [join(reference(folder), 'checkpoints'), '--model', join(reference(folder), 'model.onnx')]
  const data = SPLITS.flatMap((split) => [`--${split}`, join(work, split)])
  const how = ['--loss', 'cross-entropy', '--max-splits', '2', '--tolerance', '1']
  return ['run', ...network, ...data, ...how, '--out', join(work, 'out'), '--overwrite']
}
