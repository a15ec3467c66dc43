import { intAttribute, intsAttribute, stringAttribute } from './attributes.js'
import { dtypeOf } from './dtypes.js'
import { opsetOf } from './graph.js'
import type { Graph, Node } from './graph.js'
import { RULE_OPSET } from './lift.js'
import { subgraphNames, subgraphOf } from './subgraph.js'

/**
 * Operators of opset 18 that later ones (to 23) left as they are, or gave more element types (bfloat16, float8, strings, int4)
 * and attributes that concern those, by ONNX' changelog (docs/Changelog.md of github.com/onnx/onnx).
 */
const SAME = new Set(
  (
    'Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BatchNormalization Ceil Celu Clip Concat ' +
    'ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace Div Dropout Einsum Elu Equal Erf Exp Expand EyeLike ' +
    'Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual ' +
    'HardSigmoid HardSwish Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less ' +
    'LessOrEqual Log LogSoftmax Loop MatMul Max MaxPool MaxUnpool Mean Min Mish Mod Mul Neg Not OneHot Or PRelu Pow RNN ' +
    'Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ' +
    'ReduceSumSquare Relu Reshape Round Scan ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice ' +
    'Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose ' +
    'Trilu Unsqueeze Where Xor NonZero Compress ReverseSequence Hardmax Det GlobalLpPool LpPool LpNormalization ' +
    'MeanVarianceNormalization Unique'
  ).split(' '),
)

/** Those that mean the same in some of their forms only. */
const SAME_WHERE: Readonly<Record<string, (node: Node) => boolean>> = {
  // to float8, and how that is rounded
  Cast: (node) => ![...node.attributes.keys()].some((name) => name !== 'to'),
  Pad: (node) => stringAttribute(node, 'mode', 'constant') !== 'wrap',
  // dilations, and the last window of a rounded-up size
  AveragePool: (node) =>
    intAttribute(node, 'ceil_mode', 0) === 0 && (intsAttribute(node, 'dilations') ?? []).length === 0,
}

/**
 * The graph in opset 18, where all of it means the same there: execution providers whose kernels follow new opsets late have
 * them. ONNX Runtime takes a kernel for versions that it was written for alone, so that an operator whose newest version only
 * allows one type more is left to the CPU. Else the graph as it is. (WebGPU's kernels go farther: older-opset.ts.)
 */
export function lowered(graph: Graph): Graph {
  if (opsetOf(graph) <= RULE_OPSET || !isSame(graph)) return graph
  return { ...graph, opsets: new Map([...graph.opsets, ['', RULE_OPSET]]) }
}

function isSame(graph: Graph): boolean {
  const known = [...graph.initializers.values()].map(({ code }) => dtypeOf(code))
  const types = [...known, ...graph.inputs.map(({ dtype }) => dtype)]
  if (types.includes('bfloat16')) return false
  return graph.nodes.every(
    (node) =>
      node.domain === '' &&
      (SAME.has(node.op) || SAME_WHERE[node.op]?.(node) === true) &&
      subgraphNames(node).every((name) => isSame(subgraphOf(graph, node, name))),
  )
}
