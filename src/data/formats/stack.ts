import { isFloat, type DType, type TypedArray } from '../../tensor.js'
import type { ReadableArray } from '../stored-array.js'

/** Columns of a table side by side as one array [N, columns], read one column after the other. */
export function stackColumns(path: string, columns: readonly ReadableArray[]): ReadableArray {
  const rows = columns[0]?.shape[0] ?? 0
  const blocks = async function* (): AsyncGenerator<TypedArray> {
    for (const column of columns) yield* column.blocks()
  }
  const dtype = commonType(columns.map((column) => column.dtype))
  return {
    name: 'x',
    where: `${path}: x`,
    dtype,
    shape: [rows, columns.length],
    order: 'column-major',
    blocks,
  }
}

/** The columns' own type where they have one; else float64 where any is real, int64 where all are whole numbers. */
function commonType(types: readonly DType[]): DType {
  const [first = 'float64'] = types
  if (types.every((type) => type === first)) return first
  return types.some(isFloat) ? 'float64' : 'int64'
}
