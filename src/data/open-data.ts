import { DataError, UsageError } from '../errors.js'
import { formatShape, isFloat, type DType } from '../tensor.js'
import { openArrayFile } from './array-files.js'
import { chooseArrays, type Choice } from './choose.js'
import { checkContext, cutSequences } from './context.js'
import { placeAsIs, readFloats, readIntegers, readLabels } from './convert.js'
import { fitSampleShape } from './fit.js'
import { fitLayout } from './images/layout.js'
import type { DataNeeds, DataOptions, DataSet, Dim, InputSpec, Samples, Scale, TargetSpec } from './needs.js'
import type { ArrayFile, ReadableArray } from './stored-array.js'
import { checkTransform, describeTransform } from './transform.js'

/** The largest value of a pixel, by which images are brought to 0..1. */
const PIXEL_MAX = 255

/**
 * Reads the data of one split: a file or folder of any format that is read (array-files.ts). Arrays are chosen by
 * name, checked against what the network and the loss take, and converted to it.
 * @throws UsageError when the path or an array is not there, or options don't fit the data
 * @throws DataError when the file is corrupt, or the data don't fit: shapes, types, labels, values that are not finite
 */
export async function openData(path: string, needs: DataNeeds, options: DataOptions): Promise<DataSet> {
  return readData(await openSource(path, options), needs, options)
}

/** A data file or folder whose headers were read; it is being hashed. */
export interface DataSource {
  readonly file: ArrayFile
  readonly sha256: DataSet['sha256']
}

/** The first half of `openData`, for which the network need not be known yet; throws what concerns the file itself. */
export async function openSource(
  path: string,
  { transform, context }: Pick<DataOptions, 'transform' | 'context'>,
): Promise<DataSource> {
  if (transform !== undefined) checkTransform(transform)
  if (context !== undefined) checkContext(context)
  const file = await openArrayFile(path, { tokens: context !== undefined })
  return { file, sha256: file.beginHash() }
}

/** The second half of `openData`: chooses arrays, checks and converts them. */
export async function readData(
  { file, sha256 }: DataSource,
  needs: DataNeeds,
  options: DataOptions,
): Promise<DataSet> {
  const { path } = file
  const notes: string[] = []
  const choice = choose(file, needs, options, notes)
  const samples = countSamples(path, choice)
  checkTransformed(needs, options)
  const inputs = new Map<string, Samples>()
  for (const spec of needs.inputs) {
    inputs.set(spec.name, await readInput(choice.inputs.get(spec.name)!, spec, options, notes))
  }
  const target = await readTarget(choice, needs.target, options, notes)
  return { path, samples, inputs, ...(target && { target }), notes, sha256 }
}

function choose(file: ArrayFile, needs: DataNeeds, options: DataOptions, notes: string[]): Choice {
  const chosen = chooseArrays(file, needs, options, notes)
  const cut = options.context === undefined ? chosen : cutSequences(chosen, options.context, notes)
  const arrays = [...cut.inputs.values(), ...(cut.target === undefined ? [] : [cut.target])]
  for (const note of new Set(arrays.flatMap((array) => array.notes ?? []))) notes.push(note)
  return cut
}

/** A transform belongs to one input of real numbers. */
function checkTransformed({ inputs }: DataNeeds, { transform }: DataOptions): void {
  if (transform === undefined) return
  const real = inputs.filter(({ dtype }) => isFloat(dtype)).map(({ name }) => name)
  if (real.length === 1) return
  throw new UsageError(
    real.length === 0
      ? '--transform: the network takes whole numbers, which are not normalized'
      : `--transform: the network takes several inputs of real numbers (${real.join(', ')}); normalize them in the file`,
  )
}

/** The number of samples, the same in all arrays and not zero. */
function countSamples(path: string, { inputs, target }: Choice): number {
  const arrays = [...inputs.values(), ...(target === undefined ? [] : [target])]
  const first = arrays[0]
  if (first === undefined) throw new DataError(`${path}: the network has no input to give data to`)
  for (const array of arrays) {
    if (array.shape.length === 0)
      throw new DataError(`${array.where} is a single number, without an axis of samples`)
    if (array.shape[0] !== first.shape[0]) {
      throw new DataError(
        `${path}: ${first.name} has ${first.shape[0]!} samples, but ${array.name} has ${array.shape[0]!}`,
      )
    }
  }
  if (first.shape[0] === 0) throw new DataError(`${first.where} has no samples (${formatShape(first.shape)})`)
  return first.shape[0]!
}

async function readInput(
  stored: ReadableArray,
  spec: InputSpec,
  { scale, transform }: DataOptions,
  notes: string[],
): Promise<Samples> {
  const array = fitLayout(stored, spec.dims, notes)
  const sampleShape = fit(array, spec.dims.slice(1), `${array.where} for input '${spec.name}'`, notes)
  if (isInteger(spec.dtype)) {
    return { dtype: spec.dtype, sampleShape, data: await readIntegers(array, spec.dtype) }
  }
  const divisor = divisorOf(array, scale, notes)
  if (transform !== undefined) notes.push(`${array.where}: ${describeTransform(transform)}`)
  const normalization = transform && { transform, sampleShape }
  const data = await readFloats(array, spec.dtype, divisor, normalization)
  const place = placeAsIs(array, spec.dtype, divisor, transform !== undefined)
  return { dtype: spec.dtype, sampleShape, data, ...(place && { place }) }
}

async function readTarget(
  { inputs, target: stored }: Choice,
  spec: TargetSpec | undefined,
  { scale, transform }: DataOptions,
  notes: string[],
): Promise<Samples | undefined> {
  if (spec === undefined || stored === undefined) return undefined
  if (spec.kind === 'labels') return readLabelTarget(stored, spec, notes)
  const { dtype = 'float32', dims } = spec
  const array = fitLayout(stored, dims, notes)
  const sampleShape = fit(array, dims.slice(1), `${array.where} for the target`, notes)
  // A network that reproduces its input must see both on one scale; any other target is in units of its own.
  const isInput = [...inputs.values()].includes(stored)
  if (!isInput && array.dtype === 'uint8' && !isInteger(dtype))
    notes.push(`${array.where}: uint8 targets are taken as they are, not divided by 255`)
  if (isInteger(dtype)) return { dtype, sampleShape, data: await readIntegers(array, dtype) }
  if (!isInput) return { dtype, sampleShape, data: await readFloats(array, dtype, 1) }
  const normalization = transform && { transform, sampleShape }
  const divisor = divisorOf(array, scale, [])
  return { dtype, sampleShape, data: await readFloats(array, dtype, divisor, normalization) }
}

async function readLabelTarget(
  array: ReadableArray,
  spec: Extract<TargetSpec, { kind: 'labels' }>,
  notes: string[],
): Promise<Samples> {
  const { classes, positions } = spec
  const isOneHot = classes !== undefined && classes > 1 && array.shape[1] === classes
  if (isOneHot && array.shape.length === 2 && positions.length === 0) {
    throw new DataError(
      `${array.where} is ${formatShape(array.shape)}: one-hot rows, but the loss takes class indices; ` +
        'save y.argmax(axis=1), or take the rows as probabilities with --soft-labels',
    )
  }
  const sampleShape = fitLabels(array, positions, notes)
  if (isFloat(array.dtype))
    notes.push(`${array.where}: labels are stored as ${array.dtype}, taken as whole numbers`)
  return { dtype: 'int64', sampleShape, data: await readLabels(array, spec) }
}

/** Labels of another shape may belong to a loss that takes another axis of the prediction as its classes. */
function fitLabels(array: ReadableArray, positions: readonly Dim[], notes: string[]): readonly number[] {
  try {
    return fit(array, positions, `${array.where} for the labels`, notes)
  } catch (error) {
    if (!(error instanceof DataError) || positions.length === 0) throw error
    throw new DataError(
      `${error.message}; if the classes are another axis of the network's output, say so with --class-axis`,
    )
  }
}

function fit(
  array: ReadableArray,
  declared: readonly Dim[],
  what: string,
  notes: string[],
): readonly number[] {
  const { sampleShape, note } = fitSampleShape(array.shape.slice(1), declared, what)
  if (note !== undefined) notes.push(note)
  return sampleShape
}

function divisorOf(array: ReadableArray, scale: Scale, notes: string[]): number {
  if (scale === 'none' || (scale === 'auto' && array.dtype !== 'uint8')) return 1
  notes.push(`${array.where}: ${array.dtype} values are divided by 255`)
  return PIXEL_MAX
}

function isInteger(dtype: DType): dtype is Exclude<DType, 'float64' | 'float32' | 'float16' | 'bfloat16'> {
  return !isFloat(dtype)
}
