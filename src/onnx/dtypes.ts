import { TensorProto_DataType as Onnx } from './proto/onnx_pb.js'
import type { DType } from '../tensor.js'

/** ONNX element types that retrograd computes with; the others (strings, complex, 8-bit floats) only pass through. */
const TO_DTYPE: ReadonlyMap<number, DType> = new Map([
  [Onnx.FLOAT, 'float32'],
  [Onnx.DOUBLE, 'float64'],
  [Onnx.FLOAT16, 'float16'],
  [Onnx.BFLOAT16, 'bfloat16'],
  [Onnx.INT64, 'int64'],
  [Onnx.INT32, 'int32'],
  [Onnx.INT16, 'int16'],
  [Onnx.INT8, 'int8'],
  [Onnx.UINT64, 'uint64'],
  [Onnx.UINT32, 'uint32'],
  [Onnx.UINT16, 'uint16'],
  [Onnx.UINT8, 'uint8'],
  [Onnx.BOOL, 'bool'],
])

const FROM_DTYPE = new Map([...TO_DTYPE].map(([code, dtype]) => [dtype, code]))

/** The element type of an ONNX type code, undefined for one that retrograd does not compute with. */
export function dtypeOf(code: number): DType | undefined {
  return TO_DTYPE.get(code)
}

/** The ONNX type code (TensorProto.DataType) of an element type. */
export function onnxCode(dtype: DType): number {
  return FROM_DTYPE.get(dtype)!
}
