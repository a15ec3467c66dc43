import type { Metadata } from 'h5wasm'

import type { DType } from '../tensor.js'

/** The classes of HDF5 types (H5T_class_t). */
export const TYPE_CLASS = {
  integer: 0,
  float: 1,
  time: 2,
  text: 3,
  bitfield: 4,
  opaque: 5,
  compound: 6,
  reference: 7,
  enumeration: 8,
  list: 9,
  array: 10,
} as const

/**
 * The element type of a dataset, or undefined where it holds no numbers. Enumerations of two are booleans (h5py).
 * @param label the text of the dataset's attribute `dtype`, by which Keras marks bfloat16, stored as opaque bytes
 */
export function dtypeOf({ type, size, signed, enum_type }: Metadata, label?: string): DType | undefined {
  switch (type) {
    case TYPE_CLASS.float:
      return size === 8 ? 'float64' : size === 4 ? 'float32' : size === 2 ? 'float16' : undefined
    case TYPE_CLASS.integer:
      return integerType(size, signed)
    case TYPE_CLASS.enumeration:
      return size === 1 && enum_type?.nmembers === 2 ? 'bool' : undefined
    case TYPE_CLASS.opaque:
      return size === 2 && label === 'bfloat16' ? 'bfloat16' : undefined
    default:
      return undefined
  }
}

/** A type as a message names it: `opaque (2 bytes)`. */
export function typeText({ type, size }: Metadata): string {
  const name = Object.entries(TYPE_CLASS).find(([, code]) => code === type)?.[0] ?? 'unknown'
  return `${name} (${size} bytes)`
}

function integerType(size: number, signed: boolean): DType | undefined {
  switch (size) {
    case 1:
      return signed ? 'int8' : 'uint8'
    case 2:
      return signed ? 'int16' : 'uint16'
    case 4:
      return signed ? 'int32' : 'uint32'
    case 8:
      return signed ? 'int64' : 'uint64'
    default:
      return undefined
  }
}
