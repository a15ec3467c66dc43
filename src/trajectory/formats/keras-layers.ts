/**
 * The order in which the layers of Keras keep their variables (trainable ones, then the others, each as they were
 * made), after Keras 3.15 (`keras/src/layers`). Classes are named as in Keras' files: in snake case.
 */

/** What is known of a layer: its class, its variables' shapes, its configuration where the file has one. */
export interface LayerVariables {
  readonly shapes: readonly (readonly number[])[]
  readonly config: Readonly<Record<string, unknown>> | undefined
}

/** The names of the variables, undefined for one that could be either of two. */
export type VariableNames = readonly (string | undefined)[]

type Naming = (layer: LayerVariables) => VariableNames | undefined

/** One name for every variable, or undefined where the layer has other variables than these. */
function named(names: readonly string[], optional = 0): Naming {
  return ({ shapes }) =>
    shapes.length <= names.length && shapes.length >= names.length - optional
      ? names.slice(0, shapes.length)
      : undefined
}

/** A kernel of `rank` axes, and a bias where the layer has one. */
function kernelAndBias(rank: number): Naming {
  return ({ shapes: [kernel, bias, ...more] }) => {
    const fits = kernel?.length === rank && more.length === 0 && (bias === undefined || bias.length === 1)
    if (!fits) return undefined
    return bias === undefined ? ['kernel'] : ['kernel', 'bias']
  }
}

const einsumDense: Naming = ({ shapes }) =>
  shapes.length === 1 ? ['kernel'] : shapes.length === 2 ? ['kernel', 'bias'] : undefined

/** Scale and offset, either of which may be left out; then only the configuration tells which. */
const scaleAndCenter: Naming = ({ shapes, config }) => {
  if (shapes.length === 2) return ['gamma', 'beta']
  return shapes.length === 1 ? [scaleOrCenter(config)] : undefined
}

function scaleOrCenter(config: LayerVariables['config']): string | undefined {
  if (typeof config?.scale !== 'boolean') return undefined
  return config.scale ? 'gamma' : 'beta'
}

const STATISTICS = ['moving_mean', 'moving_variance']
const RENORM = ['moving_stddev', 'renorm_mean', 'renorm_stddev']

const batchNormalization: Naming = ({ shapes, config }) => {
  switch (shapes.length) {
    case 2:
      return STATISTICS
    case 3:
      return [scaleOrCenter(config), ...STATISTICS]
    case 4:
      return ['gamma', 'beta', ...STATISTICS]
    case 7:
      return ['gamma', 'beta', ...STATISTICS, ...RENORM]
    default:
      return undefined
  }
}

const recurrentCell = named(['kernel', 'recurrent_kernel', 'bias'], 1)

const NAMINGS: Readonly<Record<string, Naming>> = {
  dense: kernelAndBias(2),
  einsum_dense: einsumDense,
  conv1d: kernelAndBias(3),
  conv2d: kernelAndBias(4),
  conv3d: kernelAndBias(5),
  conv1d_transpose: kernelAndBias(3),
  conv2d_transpose: kernelAndBias(4),
  conv3d_transpose: kernelAndBias(5),
  depthwise_conv1d: kernelAndBias(3),
  depthwise_conv2d: kernelAndBias(4),
  separable_conv1d: named(['depthwise_kernel', 'pointwise_kernel', 'bias'], 1),
  separable_conv2d: named(['depthwise_kernel', 'pointwise_kernel', 'bias'], 1),
  batch_normalization: batchNormalization,
  layer_normalization: scaleAndCenter,
  group_normalization: scaleAndCenter,
  rms_normalization: named(['scale']),
  normalization: named(['mean', 'variance', 'count']),
  embedding: named(['embeddings']),
  p_re_lu: named(['alpha']),
  lstm_cell: recurrentCell,
  gru_cell: recurrentCell,
  simple_rnn_cell: recurrentCell,
  conv_lstm_cell: recurrentCell,
}

const ATTENTION = {
  query_dense: 'einsum_dense',
  key_dense: 'einsum_dense',
  value_dense: 'einsum_dense',
  output_dense: 'einsum_dense',
}

/** The classes of the layers that a layer keeps in its attributes. */
const PARTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  lstm: { cell: 'lstm_cell' },
  gru: { cell: 'gru_cell' },
  simple_rnn: { cell: 'simple_rnn_cell' },
  conv_lstm1d: { cell: 'conv_lstm_cell' },
  conv_lstm2d: { cell: 'conv_lstm_cell' },
  conv_lstm3d: { cell: 'conv_lstm_cell' },
  multi_head_attention: ATTENTION,
  grouped_query_attention: ATTENTION,
}

/** The names of a layer's variables in their order; undefined where its class or their number does not tell them. */
export function variableNames(className: string, layer: LayerVariables): VariableNames | undefined {
  return Object.hasOwn(NAMINGS, className) ? NAMINGS[className]!(layer) : undefined
}

/** Whether the class is one whose variables are known. */
export function isKnownLayer(className: string): boolean {
  return Object.hasOwn(NAMINGS, className)
}

/** The class of the layer that a layer of `className` keeps in `attribute`, where that is always the same. */
export function partClass(className: string, attribute: string): string | undefined {
  const parts = Object.hasOwn(PARTS, className) ? PARTS[className]! : {}
  const name = attribute.replace(/^_/, '')
  return Object.hasOwn(parts, name) ? parts[name] : undefined
}

/** A class's name as Keras writes it into files (`keras.utils.naming.to_snake_case`): BatchNormalization becomes batch_normalization. */
export function snakeCase(className: string): string {
  return className
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
}

/** A name without the number by which Keras tells equal ones apart: conv2d_1 is a conv2d. */
export function withoutNumber(name: string): string {
  return name.replace(/_\d+$/, '')
}
