/** What docs/operators.md says of single operators beside their state: conventions, what they become, what is refused. */
export const REMARKS: Readonly<Record<string, string>> = {
  // where a derivative is a matter of convention
  Abs: 'derivative 0 at 0, as PyTorch',
  Clip: 'x at a bound counts as inside, as PyTorch; trained bounds get their share',
  Relu: 'derivative 0 at 0, as PyTorch',
  LeakyRelu: 'slope alpha at 0, as PyTorch',
  PRelu: 'the slope counts at 0, as PyTorch',
  ThresholdedRelu: 'derivative 0 at the threshold, as PyTorch',
  Shrink: 'derivative 0 at the thresholds',
  HardSigmoid: 'derivative 0 at its bounds, as PyTorch',
  HardSwish: 'at -3 and 3 the slopes beyond them, as PyTorch',
  Pow: 'at base 0 the exponent has derivative 0, as PyTorch',
  Mod: 'real numbers with fmod=1; the divisor gets minus the whole quotient',
  Max: 'equal maxima share equally, as PyTorch',
  Min: 'equal minima share equally, as PyTorch',
  ReduceMax: 'equal maxima share equally, as PyTorch (amax)',
  ReduceMin: 'equal minima share equally, as PyTorch (amin)',
  ReduceL1: 'derivative 0 at 0',
  ReduceL2: 'derivative 0 where the norm is 0, as PyTorch',
  LpNormalization: 'derivative 0 where the norm is 0',
  ReduceProd: 'exact where factors are 0',
  CumProd: 'exact where factors are 0',
  MaxPool: 'the first of equal elements takes all, as PyTorch',
  GlobalMaxPool: 'the first of equal elements takes all, as PyTorch',
  TopK: 'the elements that were chosen',
  Unique: 'the first of equal elements takes all',
  // where only some inputs have a derivative
  Resize:
    'with respect to X; refused: scales and roi as parameters, and keep_aspect_ratio_policy over batch or channel',
  DequantizeLinear: 'with respect to the scale: the numbers themselves are kept in a type of few bits',
  DynamicQuantizeLinear: 'with respect to the scale that it gives: the range of x',
  OneHot: 'with respect to the two values',
  QuantizeLinear: 'its result is rounded to whole numbers: constant between the places where it jumps',
  OptionalHasElement: 'its result is a truth value',
  Range: 'with respect to start and delta',
  Cast: 'between types of real numbers the cotangent is cast back',
  CastLike: 'as Cast',
  // what operators become
  Attention:
    'becomes MatMul, masks and Softmax; refused: a sliding window (opset 25), which ONNX Runtime does not run',
  RotaryEmbedding: 'becomes a rotation of halves or pairs; refused where the size of a head is not known',
  BitCast:
    'the identity where the type stays; refused otherwise: the bits of a number as another type have no derivative',
  CenterCropPad: 'becomes Pad, which cuts where it is given negative numbers',
  Compress: 'becomes Gather at the places where the condition holds',
  DeformConv: 'becomes samples between pixels and a MatMul; refused where the kernel size is not known',
  GridSample: 'becomes a weighted sum of gathered pixels, differentiated with respect to image and grid',
  GroupNormalization:
    'becomes a LayerNormalization of each group; scale and bias by group before opset 21, by channel from then on',
  InstanceNormalization: 'becomes a LayerNormalization of each channel',
  MeanVarianceNormalization: 'becomes means and a division',
  MaxRoiPool: 'becomes maxima over the bins of each region',
  RoiAlign: 'becomes averages or maxima of sampled points, differentiated with respect to image and regions',
  NegativeLogLikelihoodLoss: 'becomes a gathered sum, by weight and without ignored positions',
  SoftmaxCrossEntropyLoss: 'becomes LogSoftmax and the loss of its classes',
  STFT: 'becomes windowed frames and a DFT',
  ScatterND: 'becomes ScatterElements; refused where the length of its index tuples is not known',
  Scatter: 'becomes ScatterElements; deprecated since opset 11, and no longer run by ONNX Runtime',
  TensorScatter: 'becomes ScatterElements at the places of the cache',
  Dropout:
    'the identity, whatever the training_mode in the file: a random mask would give every gradient its own loss',
  LSTM: 'becomes a Scan for each direction; every activation, peephole, clip, layout and sequence_lens',
  GRU: 'becomes a Scan for each direction; both forms of linear_before_reset',
  RNN: 'becomes a Scan for each direction',
  BatchNormalization:
    'by the recorded statistics, or those of the micro-batch where asked for (`--batchnorm batch`), which are then differentiated through',
  // graphs inside of graphs
  If: 'an If on the same condition; both branches may read parameters from outside',
  Loop: 'a Loop the other way; refused: a carried tensor whose shape changes, and carried sequences',
  Scan: 'a Scan the other way',
  SequenceMap: 'becomes its body, once for every element; refused where the elements are not known',
  SplitToSequence: 'becomes Split where the number of parts is known',
  SequenceAt: 'becomes the tensor that stands there',
  ConcatFromSequence: 'becomes Concat of the tensors',
  SequenceLength: 'becomes a number where the tensors are known',
  OptionalGetElement: 'becomes what was put in',
  // what must be known when the graph is built
  GatherND: 'refused where the length of its index tuples is not known',
  DFT: 'refused where it is not known along which axis it goes, and a one-sided inverse transform of too few or too many frequencies',
  Det: 'exact for singular matrices too',
  Einsum: 'every equation: repeated indices, ellipsis, any number of operands',
  Pad: 'all modes; refused: wrapping around more than once, which ONNX Runtime does not compute',
}

/** Operators that are refused only where what they hold is not known: else those that read from them are rewritten. */
export const FOLLOWED: ReadonlySet<string> = new Set([
  'Optional',
  'SequenceConstruct',
  'SequenceEmpty',
  'SequenceErase',
  'SequenceInsert',
])
