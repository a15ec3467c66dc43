import type { Bool, Dictionary, Float32, Float64, Int32, Int64, List, Utf8 } from 'apache-arrow'
import type { ColumnName, TableName, TypeOf } from './schema.js'

/** Arrow's type for each type of column. No column holds nulls. */
interface ArrowTypeOf {
  string: Dictionary<Utf8, Int32>
  int32: Int32
  int64: Int64
  float64: Float64
  bool: Bool
  'list<int32>': List<Int32>
  'list<float32>': List<Float32>
}

/** The types of a table's columns in Arrow, by name. */
export type ArrowTypes<T extends TableName, N extends ColumnName<T> = ColumnName<T>> = {
  [C in N]: ArrowTypeOf[TypeOf<T, C>]
}
