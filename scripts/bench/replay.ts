import { join } from 'node:path'
import { caseOf, replayArguments, withData } from './cases.js'
import type { ReplayCase } from './cases.js'
import { median, PYTHON, reference, SHARED, THREADS } from './common.js'
import { measure, retrograd } from './process.js'
import type { Measured } from './process.js'

const ROUNDS = 5

/** What PyTorch's program says of itself: its time is without imports. */
interface Peer extends Measured {
  readonly own: { readonly seconds: number; readonly samples: Readonly<Record<string, number>> }
}

async function peer(one: ReplayCase, work: string): Promise<Peer> {
  const folder = reference(one.folder)
  const script = join(SHARED, 'bench', 'pytorch_lca.py')
  const run = await measure(PYTHON, [
    ...[script, '--net', one.net, '--checkpoints', join(folder, 'checkpoints')],
    ...['--train', join(folder, 'train.npz'), '--val', join(folder, 'val.npz')],
    ...['--repeat-data', String(one.repeat), '--batch-size', String(one.peerBatch)],
    ...['--threads', String(THREADS), '--out', join(work, 'peer.parquet')],
  ])
  return { ...run, own: JSON.parse(run.stdout) as Peer['own'] }
}

/**
 * Times a whole replay in turn with the peer (../shared/bench/pytorch_lca.py), which times its own work without imports;
 * retrograd's time is the whole process, start-up and tables included. Prints the ratio of the medians.
 */
export async function benchReplay(name: string): Promise<void> {
  const one = caseOf(name)
  await withData(one, async (work) => {
    const [theirs, ours]: [Peer[], Measured[]] = [[], []]
    for (let round = 0; round < ROUNDS; round += 1) {
      theirs.push(await peer(one, work))
      ours.push(await retrograd(replayArguments(one, work)))
    }
    const { samples } = theirs[0]!.own
    const own = median(ours.map(({ seconds }) => seconds))
    const other = median(theirs.map((run) => run.own.seconds))
    const sizes = Object.entries(samples).map(([split, count]) => `${count} ${split}`)
    console.log(
      `${name} (samples: ${sizes.join(', ')}): median of ${ROUNDS}, ratio ${(own / other).toFixed(2)} ` +
        `(retrograd ${own.toFixed(2)} s, PyTorch ${other.toFixed(2)} s; shortest ${shortest(ours, theirs)}; ` +
        `processor time ${processor(ours)} and ${processor(theirs)} s, imports included; ` +
        `peak memory ${memory(ours)} and ${memory(theirs)} MB)`,
    )
  })
}

function shortest(ours: readonly Measured[], theirs: readonly Peer[]): string {
  const own = Math.min(...ours.map(({ seconds }) => seconds))
  const other = Math.min(...theirs.map((run) => run.own.seconds))
  return `${own.toFixed(2)} and ${other.toFixed(2)} s, ratio ${(own / other).toFixed(2)}`
}

function processor(runs: readonly Measured[]): string {
  return median(runs.map(({ processorSeconds }) => processorSeconds)).toFixed(2)
}

function memory(runs: readonly Measured[]): string {
  return median(runs.map(({ megabytes }) => megabytes)).toFixed(0)
}
