import { snakeCase } from './keras-layers.js'

/** An object of a Keras configuration: a model, a layer, a cell. */
export interface KerasObject {
  /** Its class in snake case; undefined for a class that is not Keras' own. */
  readonly className: string | undefined
  /** The class's name in the file's groups. */
  readonly groupName: string
  readonly name: string | undefined
  readonly config: Readonly<Record<string, unknown>>
}

/** An object as `serialize_keras_object` writes it, or undefined where the value is none. */
export function kerasObject(value: unknown): KerasObject | undefined {
  if (!isRecord(value) || typeof value.class_name !== 'string' || !isRecord(value.config)) return undefined
  const groupName = snakeCase(value.class_name)
  const name = value.config.name ?? value.name
  return {
    className: isKerasOwn(value) ? groupName : undefined,
    groupName,
    name: typeof name === 'string' ? name : undefined,
    config: value.config,
  }
}

/** A class of a user has no module of Keras, or is registered under a name of its own. */
function isKerasOwn({ module, registered_name }: Readonly<Record<string, unknown>>): boolean {
  const isOwnModule = typeof module === 'string' && /^(?:tf_)?keras(?:\.|$)/.test(module)
  return isOwnModule && (typeof registered_name !== 'string' || !registered_name.includes('>'))
}

/**
 * The object that a group belongs to, among those that its owner keeps in a list: by the name that the group carries,
 * else by its place, since groups are named by class and counted (`dense`, `dense_1`).
 */
export function inList(
  owner: KerasObject,
  attribute: string,
  group: string,
  name: string | undefined,
): KerasObject | undefined {
  const list = owner.config[attribute]
  if (!Array.isArray(list)) return undefined
  const { byName, byGroup } = membersOf(list)
  return (name === undefined ? undefined : byName.get(name)) ?? byGroup.get(group)
}

interface Members {
  readonly byName: ReadonlyMap<string, KerasObject>
  readonly byGroup: ReadonlyMap<string, KerasObject>
}

/** Large models have thousands of layers, each of which is looked up. */
const known = new WeakMap<readonly unknown[], Members>()

function membersOf(list: readonly unknown[]): Members {
  const found = known.get(list)
  if (found !== undefined) return found
  const byName = new Map<string, KerasObject>()
  const byGroup = new Map<string, KerasObject>()
  const counts = new Map<string, number>()
  for (const object of list.map(kerasObject)) {
    if (object === undefined) continue
    const count = counts.get(object.groupName) ?? 0
    counts.set(object.groupName, count + 1)
    byGroup.set(count === 0 ? object.groupName : `${object.groupName}_${count}`, object)
    if (object.name !== undefined) byName.set(object.name, object)
  }
  const members = { byName, byGroup }
  known.set(list, members)
  return members
}

/** The object that its owner keeps in an attribute. Both directions of a Bidirectional have one configuration. */
export function inAttribute(owner: KerasObject, attribute: string): KerasObject | undefined {
  const isDirection = attribute === 'forward_layer' || attribute === 'backward_layer'
  return kerasObject(owner.config[attribute]) ?? (isDirection ? kerasObject(owner.config.layer) : undefined)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
