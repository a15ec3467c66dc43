import { attributes, intAttribute, stringAttribute } from '../../onnx/attributes.js'
import { dtypeOf, onnxCode } from '../../onnx/dtypes.js'
import { Formula } from '../formula.js'
import { geluOf } from './activation.js'
import type { ProviderForm } from './provider-forms.js'

/**
 * Operators that ONNX Runtime's CUDA provider lacks in some type (fixtures/kernels/cuda.txt). MaxUnpool, which it lacks
 * altogether, is not emitted for it (max-pooling.ts).
 */
export const CUDA_FORMS: ReadonlyMap<string, ProviderForm> = new Map<string, ProviderForm>([
  // newer than the opset that it has most kernels for (onnx/lower.ts)
  [
    'Gelu',
    {
      applies: () => true,
      rewrite: ({ node, builder }) => {
        const x = node.inputs[0]!
        return [geluOf(new Formula(builder, x), x, stringAttribute(node, 'approximate', 'none'))]
      },
    },
  ],
  [
    'EyeLike',
    {
      applies: (node, builder) => builder.info(node.inputs[0]!).dtype === 'float16',
      rewrite: ({ node, builder }) => {
        const wide = attributes({ dtype: onnxCode('float32') })
        const matrix = builder.cast(node.inputs[0]!, 'float32')
        const [ones] = builder.addNode('EyeLike', [matrix], 1, new Map([...node.attributes, ...wide]))
        return [builder.cast(ones!, dtypeOf(intAttribute(node, 'dtype', onnxCode('float16'))) ?? 'float16')]
      },
    },
  ],
])
