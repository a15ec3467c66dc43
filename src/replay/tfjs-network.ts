import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LossSpec } from '../autodiff/losses.js'
import { MissingKernelError, TfjsEngine } from '../engines/tfjs/engine.js'
import { roleOf } from '../engines/tfjs/layers.js'
import { loadTfjs } from '../engines/tfjs/load.js'
import type { LoadedTfjs } from '../engines/tfjs/load.js'
import type { NetworkFile } from '../engines/tfjs/model.js'
import { openNetwork } from '../engines/tfjs/network.js'
import type { TfjsNetwork } from '../engines/tfjs/network.js'
import type { NetworkChoices, TfjsLossSpec } from '../engines/tfjs/setup.js'
import { elementsPerSample } from '../engines/tfjs/size.js'
import { dependsOn } from '../engines/tfjs/trial.js'
import { UsageError } from '../errors.js'
import { diskError } from '../tables/disk-error.js'
import type { Binding } from '../trajectory/bind.js'
import type { Trajectory } from '../trajectory/checkpoint.js'
import { bindingNotes } from './binding.js'
import { chooseTensors } from './choose-tensors.js'
import type { EngineFacts, ReplayNetwork } from './network.js'
import type { RunOptions } from './options.js'
import { lcaTensor } from './tensors.js'
import type { LcaTensor } from './tensors.js'
import { bindWeights, modelAmong, readNetworkFile } from './tfjs-model.js'

/**
 * Binds a network of TensorFlow.js to the checkpoints and differentiates it with TensorFlow.js itself.
 * @param loaded TensorFlow.js in this process
 * @throws UsageError for a loss in ONNX, a model that is no model.json, and what the loss or the map get wrong
 * @throws BindingError where checkpoints and network have other weights
 * @throws UnsupportedModelError for networks that TensorFlow.js does not know
 */
export async function openTfjsNetwork(
  options: RunOptions,
  trajectory: Trajectory,
  loaded: LoadedTfjs,
  note: (text: string) => void,
): Promise<ReplayNetwork> {
  const choices = { loss: lossOf(options.loss), batchNorm: options.batchNorm }
  const path = options.model ?? (await modelAmong(trajectory))
  if (options.model === undefined) note(`the network is ${path}`)
  const file = await readNetworkFile(path)
  const binding = await bindWeights(file, trajectory, options.map)
  bindingNotes(binding).forEach(note)
  const { backend, network, reached } = await differentiated(file, binding, { loaded, choices, note })
  const { tensors, allocated } = chooseTensors(describe(binding, network), options.tensors)
  const wanted = tensors.slice(0, allocated).flatMap(({ name }) => (reached.has(name) ? [name] : []))
  return {
    path,
    binding,
    tensors,
    allocated,
    gradient: {
      inputs: network.inputs,
      target: network.target,
      batch: network.batch,
      perSample: true,
      coupledBy: network.coupledBy,
      gradients: new Map(wanted.map((name) => [name, name])),
      notes: network.notes,
    },
    normalizes: network.normalizes,
    elementsPerSample: (data) => elementsPerSample(network, data.inputs),
    engineFacts: factsOf(backend),
    engineSetup: (folder) => ({
      engine: 'tfjs',
      backend: backend.name,
      file: written(file, folder),
      parameters: parametersOf(binding),
      wanted,
      ...choices,
    }),
  }
}

function lossOf(loss: LossSpec): TfjsLossSpec {
  if (loss.kind !== 'graph') return loss
  throw new UsageError(
    `--loss ${loss.path}: a loss in an ONNX file needs --engine onnxruntime; TensorFlow.js computes the losses that have names`,
  )
}

/** The manifest's name of the weight by the parameter's name in the tables. */
function parametersOf({ pairs }: Binding): Record<string, string> {
  return Object.fromEntries(pairs.map(({ name, parameter }) => [name, parameter]))
}

interface DifferentiatedNetwork {
  readonly backend: LoadedTfjs
  readonly network: TfjsNetwork
  /** The parameters that the loss depends on. */
  readonly reached: ReadonlySet<string>
}

interface Means {
  readonly loaded: LoadedTfjs
  readonly choices: NetworkChoices
  readonly note: (text: string) => void
}

/** The network, tried on one sample; in pure JavaScript where WebAssembly lacks an operation of its gradient. */
async function differentiated(
  file: NetworkFile,
  binding: Binding,
  { loaded, choices, note }: Means,
): Promise<DifferentiatedNetwork> {
  const network = await openNetwork(loaded.tf, file, choices)
  const parameters = parametersOf(binding)
  const engine = new TfjsEngine(loaded, network, { parameters, wanted: Object.keys(parameters) })
  try {
    return { backend: loaded, network, reached: dependsOn(engine, network) }
  } catch (error) {
    if (!(error instanceof MissingKernelError) || loaded.name !== 'wasm') throw error
    note(
      `WebAssembly has no ${error.kernel}, which this network's gradient needs: computing in pure JavaScript`,
    )
    await engine.close()
    return differentiated(file, binding, { loaded: await loadTfjs('js'), choices, note })
  }
}

function factsOf({ version, name, tensorflow }: LoadedTfjs): EngineFacts {
  return { version, backend: name, ...(tensorflow !== undefined && { library: `TensorFlow ${tensorflow}` }) }
}

/** The bound tensors, in the order of the model.json. */
function describe({ pairs }: Binding, network: TfjsNetwork): LcaTensor[] {
  return pairs.map((pair) => {
    const { className, weight } = network.owners.get(network.variables.get(pair.parameter)!)!
    const { role, unitAxis } = roleOf(weight, className, pair.shape.length)
    return lcaTensor(pair, role, unitAxis)
  })
}

/** The network without its numbers, where workers find it. */
function written(file: NetworkFile, folder: string): string {
  const path = join(folder, 'network.json')
  try {
    writeFileSync(path, JSON.stringify(file))
  } catch (error) {
    throw diskError(path, error)
  }
  return path
}
