import type { DType } from '../tensor.js'
import type { ErrorClass } from './corrupt.js'

/** What the header of an .npy file says. `dtype` is absent where the type is not read; `descr` is its own name. */
export interface NpyHeader {
  readonly descr: string
  readonly dtype?: DType
  readonly bigEndian: boolean
  readonly order: 'row-major' | 'column-major'
  readonly shape: readonly number[]
}

const DTYPES: Readonly<Record<string, DType>> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  b1: 'bool',
}

const HEADER =
  /^\s*\{\s*'descr'\s*:\s*('[^']*'|\[.*\])\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,\s*'shape'\s*:\s*\(([\d\s,L]*)\)\s*,?\s*\}\s*$/s

/**
 * Reads the dictionary of an .npy header, in the one form that numpy writes; it is never evaluated as Python.
 * Source: numpy.lib.format, versions 1.0 to 3.0.
 * @throws Fault when it is of another form
 */
export function parseNpyHeader(text: string, where: string, Fault: ErrorClass): NpyHeader {
  const match = HEADER.exec(text)
  if (match === null) throw new Fault(`${where}: corrupt .npy header: ${JSON.stringify(text.slice(0, 80))}`)
  const [, type = '', fortran, sizes = ''] = match
  const descr = type.replaceAll("'", '')
  const [, byteOrder, code] = /^([<>|=])(\w+)$/.exec(descr) ?? []
  const dtype = type.startsWith('[') ? undefined : DTYPES[code ?? '']
  return {
    descr,
    ...(dtype === undefined ? {} : { dtype }),
    bigEndian: byteOrder === '>',
    order: fortran === 'True' ? 'column-major' : 'row-major',
    shape: parseShape(sizes, where, Fault),
  }
}

function parseShape(text: string, where: string, Fault: ErrorClass): number[] {
  const sizes = text.split(',').map((part) => part.trim())
  if (sizes.at(-1) === '') sizes.pop()
  // Python 2 wrote long integers as 10L.
  const shape = sizes.map((part) => (/^\d+L?$/.test(part) ? Number(part.replace('L', '')) : NaN))
  if (!shape.every((size) => Number.isSafeInteger(size))) {
    throw new Fault(`${where}: corrupt .npy header: the shape (${text}) is not made of whole numbers`)
  }
  return shape
}
