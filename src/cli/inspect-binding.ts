import { lstat, writeFile } from 'node:fs/promises'
import { BindingError, UsageError } from '../errors.js'
import { readModel } from '../onnx/read.js'
import { bindingNotes, bindNetwork, networkAmong, networkTensors } from '../replay/binding.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { draftMap } from '../trajectory/draft-map.js'
import { formatMap, OPEN, readMap, writeMap, type NameMap } from '../trajectory/map-file.js'

/** How the checkpoints' tensors go into a network. */
export interface BindingReport {
  readonly model: string
  /** In words; or why they don't go in. */
  readonly text: string
  readonly failed: boolean
  /** The file that the map was written to, and how many of its entries a person has to fill in. */
  readonly written?: { readonly path: string; readonly open: number }
}

export interface BindingArguments {
  readonly model?: string | undefined
  readonly map?: string | undefined
  readonly writeMap?: string | undefined
  readonly overwrite: boolean
}

/** Refuses to write over a file before any work is done. */
export async function checkMapTarget({ writeMap: path, overwrite }: BindingArguments): Promise<void> {
  if (path === undefined || overwrite) return
  if ((await lstat(path).catch(() => undefined)) !== undefined)
    throw new UsageError(`--write-map ${path}: there is such a file already; --overwrite replaces it`)
}

/**
 * Binds a trajectory to the network that was named, or that its checkpoints are; undefined where neither is. Writes the
 * map that was asked for: what the binding is, or where it fails a draft for a person to finish.
 * @throws UsageError for a map without a network, or an entry that is wrong
 */
export async function reportBinding(
  argv: BindingArguments,
  trajectory: Trajectory,
): Promise<BindingReport | undefined> {
  const { model, map, writeMap: target } = argv
  const isAsked = model !== undefined || map !== undefined || target !== undefined
  if (!isAsked && trajectory.checkpoints.at(-1)!.network === undefined) return undefined
  const path = model ?? networkAmong(trajectory)
  const graph = await readModel(path)
  try {
    const { binding } = await bindNetwork({ model: path, map }, graph, trajectory)
    const text = bindingNotes(binding).join('\n')
    return { model: path, text, failed: false, ...(await write(target, writeMap(binding))) }
  } catch (error) {
    if (!(error instanceof BindingError)) throw error
    const known = map === undefined ? {} : { map: await readMap(map) }
    const draft =
      target === undefined ? {} : await draftMap(networkTensors(graph), trajectory.checkpoints, known)
    return { model: path, text: error.message, failed: true, ...(await write(target, draft)) }
  }
}

async function write(path: string | undefined, map: NameMap): Promise<Pick<BindingReport, 'written'>> {
  if (path === undefined) return {}
  await writeFile(path, formatMap(map))
  return { written: { path, open: Object.values(map).filter((entry) => entry === OPEN).length } }
}
