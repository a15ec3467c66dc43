import { PickleGlobal, PlainObject, TorchTensor, type PickleValue } from './pickle-values.js'
import { WEIGHT_KEYS } from './torch-weights.js'

/**
 * Why a file of torch.save holds no weights, where it is sound and plainly something else that trainers save: the state of
 * an optimizer, or counters and metrics.
 */
export function reasonWithoutWeights(root: PickleValue): string | undefined {
  if (isOptimizer(root)) return 'state of an optimizer, not weights'
  if (!(root instanceof Map) || WEIGHT_KEYS.some((key) => root.get(key) instanceof Map)) return undefined
  return holdsArrays(root) ? undefined : 'holds no weights'
}

/** `torch.optim.Optimizer.state_dict()`. */
function isOptimizer(root: PickleValue): boolean {
  return (
    root instanceof Map && root.size === 2 && root.has('state') && Array.isArray(root.get('param_groups'))
  )
}

/** Whether there is a tensor with axes anywhere, or an object that may hold some. A value may stand in several places. */
function holdsArrays(root: PickleValue): boolean {
  const seen = new Set<PickleValue>()
  const open = [root]
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (value instanceof TorchTensor && value.shape.length > 0) return true
    if (value instanceof PlainObject || value instanceof PickleGlobal) return true
    if (seen.has(value)) continue
    seen.add(value)
    if (value instanceof Map) open.push(...value.values())
    else if (Array.isArray(value)) open.push(...value)
  }
  return false
}
