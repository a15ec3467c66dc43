import type { Hdf5Dataset } from '../../io/hdf5.js'
import { joinPath } from '../../io/join-path.js'
import { inAttribute, inList, type KerasObject } from './keras-config.js'
import { isKnownLayer, partClass, variableNames, withoutNumber } from './keras-layers.js'

/** A Keras object that has a group in the file: where, what it is called, and what is known of its class. */
interface Owner {
  readonly path: string
  readonly name: string
  readonly className: string | undefined
  readonly object: KerasObject | undefined
}

/** What the groups of a file tell. */
export interface KerasGroups {
  /** The layer's own name, which newer versions of Keras (3.7 and later) note at its group of variables. */
  nameOf(path: string): string | undefined
  /** Whether the group is of an object that has variables or might, so that it is no mere list. */
  isObject(path: string): boolean
}

/** Lists whose members' groups are named by class, and whose own name says nothing. */
const LAYER_LIST = /^(?:layers|_layer_checkpoint_dependencies)$/

/** Variables of one object, in the order of their numbers. */
export interface OwnVariables {
  /** The path of the object's group; empty for the model itself. */
  readonly path: string
  readonly variables: readonly { readonly key: string; readonly dataset: Hdf5Dataset }[]
}

/**
 * Names variables as `LAYER/kernel`, since Keras 3 only numbers them (`layers/conv2d/vars/0`). LAYER is the layer's own
 * name where a person gave it one, else its group's (`conv2d_1`), which does not depend on what else a program has made;
 * a layer in an attribute goes by the attribute's name. The variable's name follows from the layer's class; where that
 * is not known, it stays `LAYER/vars/0`. Names that meet stay as the file has them.
 */
export function nameVariables(
  owners: readonly OwnVariables[],
  groups: KerasGroups,
  model: KerasObject | undefined,
): ReadonlyMap<string, Hdf5Dataset> {
  const names = owners.flatMap((owner) => namesOf(owner, groups, model))
  const counts = new Map<string, number>()
  for (const { name } of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return new Map(
    names.map(({ name, dataset }) => [counts.get(name) === 1 ? name : dataset.name, dataset] as const),
  )
}

function namesOf(
  { path, variables }: OwnVariables,
  groups: KerasGroups,
  model: KerasObject | undefined,
): { name: string; dataset: Hdf5Dataset }[] {
  const owner = findOwner(path, groups, model)
  const isNumbered = variables.every(({ key }, i) => key === String(i))
  const known =
    owner.className === undefined || !isNumbered
      ? undefined
      : variableNames(owner.className, {
          shapes: variables.map(({ dataset }) => dataset.shape),
          config: owner.object?.config,
        })
  const prefix = owner.name === '' ? '' : `${owner.name}/`
  return variables.map(({ key, dataset }, i) => ({
    name: `${prefix}${known?.[i] ?? `vars/${key}`}`,
    dataset,
  }))
}

/** Follows a path from the model to the object, through lists and attributes. */
function findOwner(path: string, groups: KerasGroups, model: KerasObject | undefined): Owner {
  let owner: Owner = { path: '', name: '', className: undefined, object: model }
  let list: string | undefined
  for (const part of path === '' ? [] : path.split('/')) {
    const inner = joinPath(owner.path, part)
    if (list === undefined && isList(part, inner, owner, groups)) {
      list = part
      owner = { ...owner, path: inner, name: LAYER_LIST.test(part) ? owner.name : joinPath(owner.name, part) }
      continue
    }
    owner =
      list === undefined
        ? attributeOf(owner, part, inner, groups)
        : memberOf(owner, list, part, inner, groups)
    list = undefined
  }
  return owner
}

function isList(part: string, path: string, owner: Owner, groups: KerasGroups): boolean {
  if (LAYER_LIST.test(part)) return true
  const isPart = owner.className !== undefined && partClass(owner.className, part) !== undefined
  return !isPart && !groups.isObject(path)
}

/** A member of a list: its group is named by its class and counted. */
function memberOf(owner: Owner, list: string, part: string, path: string, groups: KerasGroups): Owner {
  const own = groups.nameOf(path)
  const attribute = LAYER_LIST.test(list) ? 'layers' : list
  const object = owner.object && inList(owner.object, attribute, part, own)
  const group = withoutNumber(part)
  const given = own ?? object?.name
  const name = given === undefined || withoutNumber(given) === group ? part : given
  return {
    path,
    name: joinPath(owner.name, name),
    className: object === undefined ? group : object.className,
    object,
  }
}

function attributeOf(owner: Owner, part: string, path: string, groups: KerasGroups): Owner {
  const object = owner.object && inAttribute(owner.object, part)
  const automatic = withoutNumber(groups.nameOf(path) ?? '')
  const guess =
    (owner.className === undefined ? undefined : partClass(owner.className, part)) ??
    (isKnownLayer(automatic) ? automatic : undefined)
  return {
    path,
    name: joinPath(owner.name, part),
    className: object === undefined ? guess : object.className,
    object,
  }
}
