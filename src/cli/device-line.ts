import { printable } from '../printable.js'
import { grouped } from '../counting.js'

/** What a manifest says of the device (replay/manifest.ts). */
export interface DeviceFacts {
  readonly provider?: string
  readonly adapter?: string
  readonly placement?: {
    readonly nodes: number
    readonly nodes_elsewhere: Readonly<Record<string, number>>
    readonly share_of_nodes: number
    readonly share_of_time: number
  }
}

/** `computed on webgpu (NVIDIA H200): 98 % of 212 nodes, 97 % of time; on the CPU: Shape ×3, Gather`. */
export function deviceLine({ provider, adapter, placement }: DeviceFacts): string {
  const where = `computed on ${provider ?? 'cpu'}${adapter === undefined ? '' : ` (${printable(adapter)})`}`
  if (placement === undefined) return where
  const { nodes, nodes_elsewhere: elsewhere, share_of_nodes: ofNodes, share_of_time: ofTime } = placement
  const rest = Object.entries(elsewhere).map(([op, count]) => {
    return count === 1 ? printable(op) : `${printable(op)} ×${count}`
  })
  return (
    `${where}: ${share(ofNodes)} of ${grouped(nodes)} nodes, ${share(ofTime)} of the time` +
    (rest.length === 0 ? '' : `; on the CPU: ${rest.join(', ')}`)
  )
}

/** Rounded down, so that 100 % means all. */
function share(value: number): string {
  return `${Math.floor(100 * value + 1e-9)} %`
}
