import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { elementCount } from '../../src/tensor.js'
import { inFolder } from './cases.js'
import { gptParameters } from './gpt-graph.js'
import { GPT_2, writeLargeNetwork } from './large-network.js'
import type { LargeNetwork } from './large-network.js'
import { retrograd } from './process.js'

/** Large networks with random weights, three checkpoints of each. */
export const LARGE_NETWORKS: Readonly<Record<string, LargeNetwork>> = { 'gpt-2': GPT_2 }

/**
 * Replays the three checkpoints of a large network and prints time and peak memory, in copies of the parameters (4 bytes
 * each) too. LARGE names a folder that holds a network made before, or is to be made there and kept.
 */
export async function benchLargeReplay(name: string): Promise<void> {
  const network = LARGE_NETWORKS[name]
  if (network === undefined)
    throw new Error(`no network ${name}; networks: ${Object.keys(LARGE_NETWORKS).join(' ')}`)
  await inFolder(async (work) => {
    const folder = process.env.LARGE ?? join(work, 'network')
    if (!existsSync(join(folder, 'data'))) writeLargeNetwork(folder, network)
    const run = [join(folder, 'checkpoints'), '--model', join(folder, 'model.onnx')]
    const how = ['--loss', 'cross-entropy', '--max-splits', '2', '--tolerance', '10']
    const { seconds, processorSeconds, megabytes } = await retrograd([
      ...['run', ...run, '--train', join(folder, 'data'), ...how],
      ...['--out', join(work, 'out'), '--granularity', 'unit'],
    ])
    const parameters = [...gptParameters(network).values()].reduce(
      (sum, shape) => sum + elementCount(shape),
      0,
    )
    const copies = megabytes / ((4 * parameters) / 2 ** 20)
    console.log(
      `${name}: ${(parameters / 1e6).toFixed(1)} million parameters, ${network.sequences} sequences of ${network.context} tokens, ${network.checkpoints} checkpoints: ` +
        `${seconds.toFixed(0)} s (processor time ${processorSeconds.toFixed(0)} s), peak memory of all processes ${megabytes.toFixed(0)} MB, ${copies.toFixed(1)} copies of the parameters`,
    )
  })
}
