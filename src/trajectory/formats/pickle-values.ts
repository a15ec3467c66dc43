import type { StoredDType } from '../../tensor.js'

/** What a pickle can hold here: plain values and containers, and PyTorch's tensors. Dictionaries are Maps, never objects. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | PickleTuple
  | Map<PickleValue, PickleValue>
  | Set<PickleValue>
  | PickleGlobal
  | TorchStorage
  | TorchTensor
  | PlainObject

export class PickleTuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/**
 * What stands for an object of a class that is not known here: options, a scheduler, a random state. Its type's name is
 * kept, its content is dropped; no weights can be read from it. `detail` is the one fact that a known constructor keeps.
 */
export class PlainObject {
  constructor(
    readonly type: string,
    readonly detail?: string,
  ) {}
}

/** An element type of PyTorch; `unsupported` holds its name where retrograd does not read it. */
export interface TorchScalar {
  readonly dtype: StoredDType
  readonly bytes: number
  readonly unsupported?: string
}

/** What a constructor of a pickle may ask of the machine that runs it. */
export interface PickleContext {
  /** Counts items copied into a new container, so that a small file cannot ask for endless work. */
  spend(items: number): void
  /** Counts bytes of memory that a new value takes, so that a small file cannot ask for endless memory. */
  charge(bytes: number): void
  /** The error for a pickle whose parts don't fit together. */
  corrupt(what: string): Error
}

export type PickleConstructor = (args: readonly PickleValue[], context: PickleContext) => PickleValue

/**
 * A name that a pickle refers to: a constructor of ours, an element type, or neither; calling what is neither gives a
 * PlainObject. Nothing of it is Python code.
 */
export class PickleGlobal {
  constructor(
    readonly name: string,
    readonly construct?: PickleConstructor,
    readonly scalar?: TorchScalar,
  ) {}
}

/**
 * A run of bytes kept beside the pickle under `key`. `bytes` is what the pickle says that it has, `offset` how many
 * elements of it lie before this one (PyTorch before 0.2 had views of storages).
 */
export class TorchStorage {
  constructor(
    readonly key: string,
    readonly bytes: number,
    readonly scalar: TorchScalar | undefined,
    readonly offset = 0,
  ) {}
}

/** A view of a storage: element (i, j, ...) is at offset + i * stride[0] + j * stride[1] + ..., in elements. */
export class TorchTensor {
  constructor(
    readonly storage: TorchStorage,
    readonly scalar: TorchScalar,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}
