import type { Treatments } from '../rule.js'

/** Activations that ONNX gained after its first, and others that are best said by formulas of older ones. */
export const ACTIVATION: Treatments = {}
