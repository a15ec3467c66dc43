import { ModelError, UsageError } from '../errors.js'
import { sha256File } from '../io/hash.js'
import type { Prepared } from '../replay/prepare.js'
import type { Manifest } from '../tables/manifest.js'
import type { RunOptions } from '../replay/options.js'

/** Characters of a hash that are shown. */
const SHOWN = 12

/**
 * Checks the files that can be told before anything is opened: what else is wrong follows from a wrong file.
 * @param sameEngine whether the network is the very file that the results were made from
 * @throws UsageError where a file is another one than the results were made from, naming it
 */
export async function checkFiles(
  { model, loss }: RunOptions,
  manifest: Manifest,
  sameEngine: boolean,
): Promise<void> {
  if (model !== undefined && sameEngine) await checkModel(model, manifest)
  if (loss.kind === 'graph')
    checkHash(loss.path, manifest.model.loss_sha256, await sha256File(loss.path, ModelError), '--loss')
}

async function checkModel(path: string, { model }: Manifest): Promise<void> {
  checkHash(path, model.sha256, await sha256File(path, ModelError), '--model')
}

/**
 * Checks that what was opened is what the results were made from: network, data, checkpoints, and tensors.
 * @throws UsageError where it is not, naming the file
 */
export async function checkInputs(
  prepared: Prepared,
  manifest: Manifest,
  { options, sameEngine }: { readonly options: RunOptions; readonly sameEngine: boolean },
): Promise<void> {
  if (options.model === undefined && sameEngine) await checkModel(prepared.network.path, manifest)
  for (const [index, { split, sha256 }] of manifest.data.entries()) {
    const set = prepared.data.get(split)!
    const option = index === 0 ? '--train' : `--val ${split}=FILE`
    checkHash(set.path, sha256, await set.sha256(), option)
  }
  await checkCheckpoints(prepared, manifest)
  if (sameEngine) checkTensors(prepared, manifest)
}

function checkHash(path: string, recorded: unknown, now: string, option: string): void {
  if (recorded === now) return
  throw new UsageError(
    `${path} is not what the results were made from: its SHA-256 was ${String(recorded).slice(0, SHOWN)}..., is ${now.slice(0, SHOWN)}...; ` +
      `name the right file with ${option}`,
  )
}

async function checkCheckpoints({ trajectory }: Prepared, manifest: Manifest): Promise<void> {
  const { path, checkpoints } = trajectory
  const intervals = checkpoints.length - 1
  const { from, of } = manifest.intervals ?? { from: 0, of: manifest.checkpoints.length - 1 }
  if (intervals !== of)
    throw new UsageError(
      `${path} has ${intervals + 1} checkpoints, but the results were made from ${of + 1}; name the right ones with --checkpoints`,
    )
  for (const [index, recorded] of manifest.checkpoints.entries()) {
    const checkpoint = checkpoints[from + index]!
    const what =
      checkpoint.step === recorded.step
        ? (await checkpoint.fingerprint()) === recorded.fingerprint
          ? undefined
          : 'its fingerprint is another'
        : `it is of ${trajectory.stepUnit} ${checkpoint.step} instead of ${recorded.step}`
    if (what !== undefined)
      throw new UsageError(
        `${checkpoint.path} is not the checkpoint that the results were made from: ${what}; name the right ones with --checkpoints`,
      )
  }
}

/** The same files may be bound to other tensors where a map says something else than it did. */
function checkTensors({ network }: Prepared, manifest: Manifest): void {
  const now = network.tensors.slice(0, network.allocated)
  const { tensors } = manifest
  const place = tensors.findIndex(({ tensor, checkpoint_name }, i) => {
    const other = now[i]
    return other?.name !== tensor || other.checkpointName !== checkpoint_name
  })
  if (place < 0 && now.length === tensors.length) return
  const name = tensors[place]?.tensor ?? now[tensors.length]!.name
  throw new UsageError(
    `the network's tensors are not those of the results: '${name}' is bound otherwise; name the right map with --map`,
  )
}
