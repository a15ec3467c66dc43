import type { Exclusion } from './node-tests-forward.js'

/** How many of the cases can't be tests of a derivative, by why. */
export const EXCLUDED: Readonly<Record<Exclusion, number>> = {
  'outside of ai.onnx, opset 11 to 26': 38,
  'no real input': 323,
  'no real output': 186,
  'not run by ONNX Runtime': 99,
  'run differently by ONNX Runtime': 9,
}

const LOOPED_SEQUENCE = 'a sequence that a loop makes or carries'

/** Cases that are refused or don't agree, with the reason. */
export const SHORTCOMINGS: Readonly<Record<string, string>> = {
  loop16_seq_none: LOOPED_SEQUENCE,
  sequence_map_add_1_sequence_1_tensor_expanded: LOOPED_SEQUENCE,
  sequence_map_add_2_sequences_expanded: LOOPED_SEQUENCE,
  sequence_map_identity_1_sequence_1_tensor_expanded: LOOPED_SEQUENCE,
  sequence_map_identity_1_sequence_expanded: LOOPED_SEQUENCE,
  sequence_map_identity_2_sequences_expanded: LOOPED_SEQUENCE,
}

/** What must be known when a graph is built and not only when it runs: parts of the reasons of refusals. */
export const MUST_BE_KNOWN: readonly string[] = [
  'the length of its index tuples is not known',
  'its axis is computed when the graph runs',
]
