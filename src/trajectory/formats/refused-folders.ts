import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'

import { CheckpointFormatError } from '../../errors.js'
import { isStepFolder } from '../names.js'
import type { FolderFormat } from './format.js'

/** A layout that is known and not read, since its weights lie in pieces that only its own framework puts together. */
interface RefusedLayout {
  readonly name: string
  readonly match: (names: readonly string[]) => boolean
  /** The lines that turn the folder into something that is read. */
  readonly convert: (folder: string) => string | Promise<string>
}

const ZERO_STATES = /^(?:bf16_)?zero_pp_rank_\d+_mp_rank_\d+(?:_.*)?\.pt$/
const MODEL_STATES = /^mp_rank_\d+_model_states\.pt$/
const MEGATRON_RANK = /^mp_rank_\d{2}(?:_\d{3}){0,2}$/
const FSDP_FOLDER = /^pytorch_model_fsdp_\d+$/

/**
 * The commands are those of the frameworks' documentation: torch.distributed.checkpoint.format_utils, DeepSpeed's
 * zero_to_fp32.py (which DeepSpeed copies beside every checkpoint) and Megatron-DeepSpeed's converters, `accelerate
 * merge-weights`, Orbax's PyTreeCheckpointer, Megatron-LM's tools/checkpoint/convert.py.
 */
const LAYOUTS: readonly RefusedLayout[] = [
  {
    name: 'FSDP shards of the Hugging Face Trainer',
    match: (names) => names.some((name) => FSDP_FOLDER.test(name)),
    convert: (folder) =>
      `accelerate merge-weights "${join(folder, 'pytorch_model_fsdp_0')}" "${folder}-merged"`,
  },
  {
    name: "Megatron's distributed checkpoint",
    match: (names) => names.includes('common.pt') && names.some((name) => name.endsWith('.distcp')),
    convert: dcpLine,
  },
  {
    name: 'torch.distributed.checkpoint',
    match: (names) => names.includes('.metadata') || names.some((name) => /^__\d+_\d+\.distcp$/.test(name)),
    convert: dcpLine,
  },
  {
    name: 'DeepSpeed ZeRO',
    match: (names) => names.some((name) => ZERO_STATES.test(name)) && !hasFullWeights(names),
    convert: zeroLine,
  },
  {
    name: "DeepSpeed's tensor parallelism",
    match: (names) => names.filter((name) => MODEL_STATES.test(name)).length > 1,
    convert: (folder) =>
      'python Megatron-DeepSpeed/tools/convert_checkpoint/deepspeed_to_transformers.py ' +
      `--input_folder "${folder}" --output_folder "${folder}-hf" --target_tp 1 --target_pp 1`,
  },
  {
    name: 'Megatron',
    match: (names) => names.some((name) => MEGATRON_RANK.test(name)),
    convert: (folder) =>
      'python Megatron-LM/tools/checkpoint/convert.py --model-type GPT --loader core --saver core ' +
      '--target-tensor-parallel-size 1 --target-pipeline-parallel-size 1 ' +
      `--load-dir "${join(folder, '..')}" --save-dir OUT, and of the one file that this makes ` +
      '(or that a run on one device made) torch.save(torch.load("mp_rank_00/model_optim_rng.pt")["model"], "step.pt")',
  },
  {
    name: 'Orbax',
    match: (names) =>
      ['manifest.ocdbt', '_METADATA', '_CHECKPOINT_METADATA'].some((name) => names.includes(name)),
    convert: orbaxLine,
  },
]

/** DeepSpeed's stages 0 to 2 keep all weights in one file beside the optimizer's shards. */
function hasFullWeights(names: readonly string[]): boolean {
  const isPart = (name: string): boolean => ZERO_STATES.test(name) && name.includes('model_states')
  return names.includes('mp_rank_00_model_states.pt') && !names.some(isPart)
}

function dcpLine(folder: string): string {
  return `python -m torch.distributed.checkpoint.format_utils dcp_to_torch "${folder}" "${folder}.pt"`
}

/** The script takes the folder around the step's folder, which it calls a tag. */
function zeroLine(folder: string): string {
  const outer = join(folder, '..')
  return `python "${join(outer, 'zero_to_fp32.py')}" "${outer}" "${folder}-fp32" --tag ${basename(folder)}`
}

/** Orbax wants an absolute path, and of a step's folder the item in it (`default`) that holds the arrays. */
async function orbaxLine(folder: string): Promise<string> {
  const names = await namesIn(folder)
  const items = names.includes('_METADATA') ? [] : await itemsWith('_METADATA', folder, names)
  const path = resolve(items[0] ?? folder)
  return (
    'python -c "import orbax.checkpoint as ocp, flax.serialization as s; ' +
    `t = ocp.PyTreeCheckpointer().restore('${path}'); ` +
    `open('${resolve(folder)}.msgpack', 'wb').write(s.to_bytes(t))"`
  )
}

async function itemsWith(file: string, folder: string, names: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const name of names)
    if ((await namesIn(join(folder, name))).includes(file)) found.push(join(folder, name))
  return found
}

/** One layout is one format, so that a run of refused folders is not taken for a mixture. */
const REFUSED: readonly FolderFormat[] = LAYOUTS.map(({ name, match, convert }) => ({
  name,
  matchFolder: (names) => match([...names]),
  open: async (path) => {
    const folder = (await placeOf(path, match)) ?? path
    throw new CheckpointFormatError(
      `${path}: is a checkpoint of ${name}, which is not read; convert it: ${await convert(folder)}`,
    )
  },
}))

/** The folder itself or one below, as in the Hugging Face Trainer's `checkpoint-10/global_step10`. */
async function placeOf(path: string, match: RefusedLayout['match']): Promise<string | undefined> {
  if (match(await namesIn(path))) return path
  for (const folder of await stepFoldersIn(path)) if (match(await namesIn(folder))) return folder
  return undefined
}

async function stepFoldersIn(path: string): Promise<string[]> {
  return (await namesIn(path)).filter(isStepFolder).map((name) => join(path, name))
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch(() => [])
}

/** The layout of a folder by the names of what it holds, where it is one of those that are known and not read. */
export function refusedLayout(names: ReadonlySet<string>): FolderFormat | undefined {
  return REFUSED.find((layout) => layout.matchFolder(names))
}

/** The same of a step's folder within a folder, the first that is of such a layout. */
export async function refusedLayoutBelow(path: string): Promise<FolderFormat | undefined> {
  for (const folder of await stepFoldersIn(path)) {
    const refused = refusedLayout(new Set(await namesIn(folder)))
    if (refused !== undefined) return refused
  }
  return undefined
}
