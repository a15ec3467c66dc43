/** Element types of the tables' columns, named as Arrow names them. */
export type ColumnType = 'string' | 'int32' | 'int64' | 'float64' | 'bool' | 'list<int32>' | 'list<float32>'

export interface Column<N extends string = string, T extends ColumnType = ColumnType> {
  readonly name: N
  readonly type: T
  /** What the numbers mean: one sentence, for documentation. */
  readonly description: string
}

export function column<N extends string, T extends ColumnType>(
  name: N,
  type: T,
  description: string,
): Column<N, T> {
  return { name, type, description }
}
