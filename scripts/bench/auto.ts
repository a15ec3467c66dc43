import { join } from 'node:path'
import { openResults } from '../../src/index.js'
import { openArrayFile } from '../../src/data/array-files.js'
import { readFloats } from '../../src/data/convert.js'
import { inFolder } from './cases.js'
import { reference } from './common.js'
import { retrograd } from './process.js'
import { SPLITS } from './repeated-data.js'

const TOLERANCE = 1e-3

/** Reference cases whose exact LCA by tensor is known. */
export const AUTO: Readonly<Record<string, string>> = { 'mnist-fc': 'mnist-fc', lenet: 'lenet', gpt: 'gpt' }

/**
 * What `--quadrature auto` costs at a tolerance of 1e-3, in gradients per interval and split, and the largest error of a
 * tensor's LCA in one interval against the reference's integral (expected.npz: `exact/train` [intervals, tensors]).
 */
export async function benchAuto(name: string): Promise<void> {
  const folder = reference(AUTO[name] ?? name)
  await inFolder(async (work) => {
    const out = join(work, 'out')
    await retrograd([
      ...['run', join(folder, 'checkpoints'), '--model', join(folder, 'model.onnx'), '--out', out],
      ...SPLITS.flatMap((split) => [`--${split}`, join(folder, `${split}.npz`)]),
      ...['--loss', 'cross-entropy', '--quadrature', 'auto', '--tolerance', String(TOLERANCE)],
    ])
    const results = await openResults(out)
    const { columns, rows } = await results.readTable('steps', { columns: ['evaluations', 'splits'] })
    const perRow = columns.evaluations.reduce((sum, count) => sum + count, 0) / rows
    const errors = await Promise.all(SPLITS.map((split) => largestError(out, folder, split)))
    const noise = Number(results.manifest.result.evaluations) / rows
    console.log(
      `${name}: auto at tolerance ${TOLERANCE} takes ${perRow.toFixed(3)} gradients per interval and split ` +
        `(${noise.toFixed(3)} with the noise floor's), largest error of a tensor in one interval ${Math.max(...errors).toExponential(1)}`,
    )
  })
}

async function largestError(out: string, folder: string, split: string): Promise<number> {
  const exact = (await openArrayFile(join(folder, 'expected.npz'))).arrays.find(
    (array) => array.name === `exact/${split}`,
  )
  if (exact === undefined || !('dtype' in exact)) throw new Error(`${folder}: no exact LCA of ${split}`)
  const expected = await readFloats(exact, 'float64', 1)
  const results = await openResults(out)
  const { columns } = await results.readTable('tensors', {
    columns: ['interval', 'lca'],
    filter: { split },
  })
  const tensors = exact.shape[1]!
  return columns.lca.reduce(
    (worst, lca, row) =>
      Math.max(worst, Math.abs(lca - expected[columns.interval[row]! * tensors + (row % tensors)]!)),
    0,
  )
}
