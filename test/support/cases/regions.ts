import type { AttributeValue } from '../../../src/onnx/attributes.js'
import { constant, given, ints, real, spaced } from '../operator-case.js'
import type { OperatorCase } from '../operator-case.js'

type Attributes = Readonly<Record<string, AttributeValue>>

/** [image, x1, y1, x2, y2]; the third region is smaller than its bins, the last lies outside of the image. */
const boxes = constant([0, 0, 0, 5, 4, 1, 1.6, 0.2, 4.4, 3.7, 0, 2, 2, 2, 3, 1, 20, 20, 30, 30], [4, 5])

const REGIONS: readonly OperatorCase[] = [undefined, ['N', 'C', 'H', 'W'] as const].flatMap((as) => {
  const title = as === undefined ? '' : ' of symbolic sizes'
  const image = spaced([2, 3, 6, 7], as)
  return [
    {
      title: `into bins${title}`,
      op: 'MaxRoiPool',
      inputs: [image, boxes],
      attributes: { pooled_shape: [2, 3] },
    },
    {
      title: `into bins at another scale${title}`,
      op: 'MaxRoiPool',
      inputs: [image, boxes],
      attributes: { pooled_shape: [3, 2], spatial_scale: { float: 0.75 } },
    },
  ].map((test): OperatorCase => ({ ...test, dtype: 'float32' }))
})

/** [x1, y1, x2, y2]: inside, wide, over the border, far outside. */
const corners = [0.4, 0.7, 4.5, 3.7, 1.15, 0.2, 6.35, 1.9, -2.3, -1.7, 3.2, 8.6, 20.3, 20.1, 25.2, 26.4]
const images = ints([0, 1, 0, 1])

function roiAlign(title: string, attributes: Attributes, rest: Partial<OperatorCase> = {}): OperatorCase {
  const bins = { output_height: 2, output_width: 3 }
  const inputs = [real([2, 3, 6, 7]), constant(corners, [4, 4]), images]
  return { title, op: 'RoiAlign', inputs, attributes: { ...bins, ...attributes }, ...rest }
}

const ALIGNED: readonly OperatorCase[] = ['avg', 'max'].flatMap((mode) => [
  roiAlign(`with mode ${mode}`, { mode, sampling_ratio: 2 }),
  roiAlign(`with mode ${mode} and as many samples as a region needs`, { mode }),
  roiAlign(`with mode ${mode} at another scale`, { mode, spatial_scale: { float: 0.6 }, sampling_ratio: 3 }),
  roiAlign(`with mode ${mode} and output_half_pixel`, {
    mode,
    coordinate_transformation_mode: 'output_half_pixel',
  }),
  roiAlign(
    `with mode ${mode} of symbolic sizes`,
    { mode },
    {
      inputs: [real([2, 3, 6, 7], { as: ['N', 'C', 'H', 'W'] }), constant(corners, [4, 4]), images],
    },
  ),
  roiAlign(
    `with mode ${mode} and regions that move`,
    { mode, sampling_ratio: 2 },
    {
      inputs: [real([2, 3, 6, 7]), given(corners, [4, 4]), images],
      step: 1e-4,
    },
  ),
])
export const REGION_CASES: readonly OperatorCase[] = [
  ...REGIONS,
  ...ALIGNED,
  roiAlign('with mode avg in float32', {}, { dtype: 'float32' }),
]
