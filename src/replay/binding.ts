import { BindingError, UsageError } from '../errors.js'
import { decodeArray } from '../io/decode.js'
import { listNames } from '../listing.js'
import { findCopies } from '../onnx/copies.js'
import type { Graph, Initializer } from '../onnx/graph.js'
import { namesOf, withLayouts } from '../onnx/layouts.js'
import { neighboursOf, weightUseOf } from '../onnx/weight-use.js'
import { isFloat } from '../tensor.js'
import type { DType, FloatArray } from '../tensor.js'
import { EXPORT_LINE } from '../trajectory/bind-report.js'
import { bind } from '../trajectory/bind.js'
import type { Binding, NetworkTensor } from '../trajectory/bind.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { readMap } from '../trajectory/map-file.js'

/** A note is one line on a terminal. */
const NAMES_IN_NOTE = 8

/** A network whose weights stand under the names and in the layout of the checkpoints. */
export interface BoundNetwork {
  readonly binding: Binding
  readonly graph: Graph
}

/** A graph's initializers as binding sees them: shapes, what their axes mean, and numbers when they are asked for. */
export function networkTensors(graph: Graph): NetworkTensor[] {
  const neighbours = neighboursOf(graph)
  return [...graph.initializers].flatMap(([name, initializer]): NetworkTensor[] => {
    const { shape, dtype, literal } = initializer
    if (dtype === undefined) return []
    const use = isFloat(dtype) ? weightUseOf(graph, name, shape.length) : undefined
    return [
      {
        name,
        shape,
        dtype,
        ...(use && { use }),
        ...(literal && { literal }),
        neighbours: neighbours.get(name)!,
        ...(isFloat(dtype) && { read: () => numbersOf(initializer, dtype) }),
      },
    ]
  })
}

function numbersOf({ read }: Initializer, dtype: DType): FloatArray {
  // a copy, since the bytes may be a view into the file at any offset
  return decodeArray(new Uint8Array(read()), dtype) as FloatArray
}

/**
 * Binds the checkpoints to a network and gives the network with its weights in the checkpoints' layout.
 * @throws BindingError where they don't fit, or a constant of the network repeats a weight
 * @throws UsageError where the map is wrong
 */
export async function bindNetwork(
  { model: path, map }: { readonly model: string; readonly map?: string | undefined },
  model: Graph,
  { checkpoints, others, stepUnit }: Pick<Trajectory, 'checkpoints' | 'others' | 'stepUnit'>,
): Promise<BoundNetwork> {
  const binding = await bind(networkTensors(model), checkpoints, {
    model: path,
    stepUnit,
    taken: namesOf(model),
    ...(others !== undefined && { others }),
    ...(map !== undefined && { map: await readMap(map) }),
  })
  refuseCopies(path, model, binding)
  return { binding, graph: withLayouts(model, binding.pairs) }
}

/** A weight that the network also holds as a constant would move in one of its uses only: the numbers would be wrong. */
function refuseCopies(path: string, model: Graph, { pairs, constants }: Binding): void {
  const weights = pairs.map(({ parameter }) => parameter)
  const [copy] = findCopies(model, weights, constants)
  if (copy === undefined) return
  throw new BindingError(
    `${path}: '${copy.constant}' is a constant with the numbers of '${copy.weight}': the exporter folded one use of that ` +
      `weight, or the weight is tied and saved once; its gradient would lack that use. Export with ${EXPORT_LINE}`,
  )
}

/**
 * The network of checkpoints that are networks themselves: the last one, since an exporter may drop what is still zero at
 * first.
 * @throws UsageError where the checkpoints hold weights alone
 */
export function networkAmong({
  path,
  checkpoints,
  format,
}: Pick<Trajectory, 'path' | 'checkpoints' | 'format'>): string {
  const last = checkpoints.at(-1)!
  if (last.network !== undefined) return last.network
  const other = format.includes('TensorFlow.js')
    ? ', or replay them with TensorFlow.js itself: --engine tfjs'
    : ''
  throw new UsageError(
    `${path}: the checkpoints hold weights alone: name the network as ONNX with --model (docs/recording.md has the line that exports it)${other}`,
  )
}

/** What a user should know of a binding, a sentence each. */
export function bindingNotes(binding: Binding): string[] {
  const { how, pairs, constants, ignored, tied, unmoved, submodule } = binding
  const list = (names: readonly string[]): string => listNames(names, NAMES_IN_NOTE)
  return [
    `${pairs.length} tensors bound${/^\d/.test(how) ? ':' : ''} ${how}`,
    ...(constants.length > 0 ? [`constant, since the checkpoints don't hold them: ${list(constants)}`] : []),
    ...(tied.length > 0
      ? [`saved twice, and counted once: ${list(tied.map(({ tensor, same }) => `${tensor} is ${same}`))}`]
      : []),
    ...(submodule
      ? [
          `the network is what the checkpoints hold under '${submodule.prefix}'; other tensors left out: ${submodule.outside}`,
        ]
      : []),
    ...(unmoved.length > 0
      ? [`left out, since the network has no place for them and they never move: ${list(unmoved)}`]
      : []),
    ...(ignored.length > 0 ? [`left out, being counters: ${list(ignored)}`] : []),
  ]
}
