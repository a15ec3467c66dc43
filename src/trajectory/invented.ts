/** Names that exporters invent for constants and for weights they have changed (PyTorch's two exporters, tf2onnx). */
const INVENTED_NAME =
  /^(?:val_\d+|onnx::\w+|.*ReadVariableOp(?::\d+)?|.*(?:transpose|MatMul|Constant)[^./]*)$/i

/** Whether a network's name for a weight is an exporter's invention rather than a name that someone gave it. */
export function isInvented(name: string): boolean {
  return INVENTED_NAME.test(name)
}
