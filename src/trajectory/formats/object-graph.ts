import { CheckpointError, reasonOf } from '../../errors.js'
import { crc32c, maskedCrc32c } from '../../io/crc32c.js'
import { readMessage } from './bundle-proto.js'

/** The tensor of an object-based checkpoint that tells how its objects hang together. */
export const OBJECT_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'

/** Graphs take some 100 bytes for an object, and have some objects for each variable. */
export const MAX_GRAPH_BYTES = 32 * 2 ** 20
/** Objects, their parts, values and slots together: a hostile graph is made of empty ones. */
const MAX_ITEMS = 300_000

/** A variable's value under the key that the checkpoint has it under. */
interface Attribute {
  readonly name: string
  /** The variable's own name, such as `conv1/kernel`; empty where it has none. */
  readonly fullName: string
  readonly key: string
}

/** An object of the training script: its parts by name, and its values. */
export interface GraphNode {
  readonly children: readonly { readonly name: string; readonly node: number }[]
  readonly attributes: readonly Attribute[]
  /** Slots that an optimizer keeps for variables, such as momenta. */
  readonly slots: readonly { readonly name: string; readonly variable: number; readonly slot: number }[]
}

/**
 * The nodes of a TrackableObjectGraph; node 0 is the checkpoint itself. Source:
 * tensorflow/core/protobuf/trackable_object_graph.proto.
 * @param bytes the string tensor's: a length, the checksum of the length, the message
 * @param checksum of the whole tensor, masked
 * @param where the file, for messages
 * @throws CheckpointError when it is corrupt
 */
export function readObjectGraph(bytes: Uint8Array, checksum: number, where: string): GraphNode[] {
  try {
    return readNodes(scalarString(bytes, checksum))
  } catch (error) {
    throw new CheckpointError(`${where}: corrupt: its graph of objects: ${reasonOf(error)}`)
  }
}

/** The one string of a string tensor without axes (tensor_bundle.cc, WriteStringTensor). */
function scalarString(bytes: Uint8Array, checksum: number): Uint8Array {
  let length = 0
  let at = 0
  do length += (bytes[at]! & 0x7f) * 2 ** (7 * at)
  while (bytes[at++]! >= 0x80 && at < 8)
  const content = bytes.subarray(at + 4)
  if (content.length !== length) throw new Error(`${content.length} bytes instead of ${length}`)
  const lengthBytes = Buffer.alloc(4)
  lengthBytes.writeUInt32LE(length)
  const covered = crc32c(content, crc32c(bytes.subarray(at, at + 4), crc32c(lengthBytes)))
  if (maskedCrc32c(covered) !== checksum) throw new Error('it does not match its checksum')
  return content
}

function readNodes(bytes: Uint8Array): GraphNode[] {
  const nodes: GraphNode[] = []
  let items = 0
  const count = (): void => {
    if (items++ === MAX_ITEMS) throw new Error(`more than ${MAX_ITEMS} objects and references`)
  }
  readMessage(bytes, {
    1: (reader) => {
      count()
      nodes.push(readNode(reader.bytes(), count))
    },
  })
  for (const { children, slots } of nodes) {
    const ids = [
      ...children.map(({ node }) => node),
      ...slots.flatMap(({ variable, slot }) => [variable, slot]),
    ]
    const wrong = ids.find((id) => id < 0 || id >= nodes.length)
    if (wrong !== undefined) throw new Error(`it refers to object ${wrong} of ${nodes.length}`)
  }
  return nodes
}

/** @param count called for each part, value and slot, before it takes memory */
function readNode(bytes: Uint8Array, count: () => void): GraphNode {
  const children: { name: string; node: number }[] = []
  const attributes: Attribute[] = []
  const slots: { name: string; variable: number; slot: number }[] = []
  readMessage(bytes, {
    1: (reader) => {
      count()
      const child = { name: '', node: 0 }
      readMessage(reader.bytes(), {
        1: (field) => (child.node = field.int32()),
        2: (field) => (child.name = field.string()),
      })
      children.push(child)
    },
    2: (reader) => {
      count()
      const attribute = { name: '', fullName: '', key: '' }
      readMessage(reader.bytes(), {
        1: (field) => (attribute.name = field.string()),
        2: (field) => (attribute.fullName = field.string()),
        3: (field) => (attribute.key = field.string()),
      })
      attributes.push(attribute)
    },
    3: (reader) => {
      count()
      const slot = { name: '', variable: 0, slot: 0 }
      readMessage(reader.bytes(), {
        1: (field) => (slot.variable = field.int32()),
        2: (field) => (slot.name = field.string()),
        3: (field) => (slot.slot = field.int32()),
      })
      slots.push(slot)
    },
  })
  return { children, attributes, slots }
}
