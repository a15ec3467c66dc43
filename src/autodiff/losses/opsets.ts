import { UnsupportedModelError } from '../../errors.js'
import { describeNode, opsetOf } from '../../onnx/graph.js'
import type { Graph } from '../../onnx/graph.js'
import { DIFFERENT_SINCE } from '../../onnx/inline.js'

/**
 * The operator sets that a network and a loss graph can both be read in: of each the newer version.
 *
 * @throws UnsupportedModelError where an operator means something else in the newer version
 */
export function commonOpsets(network: Graph, loss: Graph, path: string): Graph['opsets'] {
  const newest = Math.max(opsetOf(network), opsetOf(loss))
  for (const graph of [network, loss]) {
    const changed = graph.nodes.find(({ op, domain }) => {
      const since = domain === '' ? DIFFERENT_SINCE[op] : undefined
      return since !== undefined && opsetOf(graph) < since && since <= newest
    })
    if (changed !== undefined)
      throw new UnsupportedModelError(
        `${path} and the network are written in opsets ${opsetOf(loss)} and ${opsetOf(network)}, between which ` +
          `${describeNode(changed)} changed its meaning; export both with one opset_version`,
      )
  }
  const opsets = new Map(network.opsets)
  for (const [domain, version] of loss.opsets) {
    const own = opsets.get(domain)
    if (domain !== '' && own !== undefined && own !== version)
      throw new UnsupportedModelError(
        `${path} uses version ${version} of the operator set ${domain}, and the network version ${own}`,
      )
    opsets.set(domain, version)
  }
  return opsets.set('', newest)
}
