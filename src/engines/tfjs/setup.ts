import type { NetworkChoices } from './network.js'
import type { TfjsBackendName } from './packages.js'

/** How the engine tfjs is made, in plain data that other processes can be handed. */
export interface TfjsSetup extends NetworkChoices {
  readonly engine: 'tfjs'
  readonly backend: TfjsBackendName
  /** File of the network without its numbers: a NetworkFile as JSON. */
  readonly file: string
  /** The manifest's name of the weight by parameter. */
  readonly parameters: Readonly<Record<string, string>>
  /** The parameters that gradients are taken of. */
  readonly wanted: readonly string[]
}
