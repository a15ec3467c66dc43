import { readFloats } from '../../src/data/convert.js'
import { openArrayFile } from '../../src/data/array-files.js'

/** Arrays of an .npz file as plain numbers, by name, flattened in row-major order. */
export async function readNpz(path: string): Promise<(name: string) => Promise<Float64Array>> {
  const file = await openArrayFile(path)
  return async (name) => {
    const array = file.arrays.find((one) => one.name === name)
    if (array === undefined || !('dtype' in array)) throw new Error(`${path} has no readable array ${name}`)
    return (await readFloats(array, 'float64', 1)) as Float64Array
  }
}
