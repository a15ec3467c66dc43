import { elementCount } from '../../tensor.js'
import type { TorchTensor } from './pickle-values.js'

/** The prefix of an average that a module keeps among its own weights (latent diffusion's LitEma). */
export const EMA_PREFIX = 'model_ema.'

/** What averaging wrappers keep beside the weights: torch's AveragedModel, MMEngine's, LitEma's, ema-pytorch's. */
const BOOKKEEPING = new Set(['n_averaged', 'steps', 'decay', 'num_updates', 'initted', 'step'])

type StateDict = ReadonlyMap<string, TorchTensor>

/**
 * The averaged weights under the names that the network's own have: `module.` before each name (torch.optim.swa_utils'
 * AveragedModel) and `ema_model.` beside `online_model.` (ema-pytorch) are taken off, counters of the averaging left out.
 */
export function averageOf(tensors: StateDict): StateDict {
  const inner = startingWith(tensors, 'ema_model.')
  if (inner.size > 0) return inner
  const named = new Map(
    [...tensors].filter(([name, { shape }]) => !BOOKKEEPING.has(name) || elementCount(shape) > 1),
  )
  const wrapped = named.size < tensors.size && [...named.keys()].every((name) => name.startsWith('module.'))
  return wrapped ? startingWith(named, 'module.') : named
}

/**
 * The average that a network's dictionary holds among its own weights, or undefined. LitEma's names have no dots:
 * `model_ema.diffusion_modelweight` is the average of `model.diffusion_model.weight`. What is not averaged stays as it is.
 */
export function averageWithin(tensors: StateDict): StateDict | undefined {
  const flat = startingWith(tensors, EMA_PREFIX)
  if (flat.size === 0) return undefined
  const average = new Map<string, TorchTensor>()
  for (const [name, tensor] of tensors) {
    if (name.startsWith(EMA_PREFIX)) continue
    const own = name.replace(/^model\./, '')
    average.set(name, flat.get(own) ?? flat.get(own.replaceAll('.', '')) ?? tensor)
  }
  return average.size > 0 ? average : undefined
}

function startingWith(tensors: StateDict, prefix: string): StateDict {
  return new Map(
    [...tensors].flatMap(([name, tensor]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [],
    ),
  )
}
