// The network saved by TensorFlow.js as its Node and browser handlers write it: node tfjs.mjs FOLDER, where FOLDER has
// @tensorflow/tfjs in its node_modules. tfjs_files.py checks and lists what this writes.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const tf = createRequire(resolve(process.argv[2], 'package.json'))('@tensorflow/tfjs')
const OUT = 'fixtures/formats'
const STEPS = [0, 10, 20, 30]
const LAYERS = {
  conv1: ['weight', 'bias'],
  conv2: ['weight', 'bias'],
  bn: ['weight', 'bias', 'running_mean', 'running_var'],
  fc1: ['weight', 'bias'],
  fc2: ['weight', 'bias'],
}

/** The float32 tensors of a step, read from the safetensors file of the same recording. */
function recorded(step) {
  const bytes = readFileSync(`${OUT}/safetensors/step-${String(step).padStart(6, '0')}.safetensors`)
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length))
  return (name) => {
    const {
      shape,
      data_offsets: [begin, end],
    } = header[name]
    const data = new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end)).slice()
    return tf.tensor(new Float32Array(data.buffer), shape)
  }
}

function channelsLast(tensor) {
  if (tensor.rank === 4) return tensor.transpose([2, 3, 1, 0])
  return tensor.rank === 2 ? tensor.transpose() : tensor
}

function build() {
  const model = tf.sequential({ name: 'network' })
  const { layers } = tf
  model.add(
    layers.conv2d({ name: 'conv1', inputShape: [6, 6, 1], filters: 3, kernelSize: 3, activation: 'relu' }),
  )
  model.add(layers.conv2d({ name: 'conv2', filters: 4, kernelSize: 3, padding: 'same' }))
  model.add(layers.batchNormalization({ name: 'bn', epsilon: 1e-5 }))
  model.add(layers.reLU({ name: 'relu' }))
  model.add(layers.globalAveragePooling2d({ name: 'pool', dataFormat: 'channelsLast' }))
  model.add(layers.dense({ name: 'fc1', units: 4, activation: 'relu' }))
  model.add(layers.dense({ name: 'fc2', units: 3 }))
  return model
}

function put(model, step) {
  const read = recorded(step)
  for (const [layer, names] of Object.entries(LAYERS)) {
    model.getLayer(layer).setWeights(names.map((name) => channelsLast(read(`${layer}.${name}`))))
  }
}

/** What a model hands to its save handler. */
async function artifactsOf(model, options) {
  let artifacts
  const handler = tf.io.withSaveHandler((given) => {
    artifacts = given
    return Promise.resolve({
      modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' },
    })
  })
  await model.save(handler, options)
  return artifacts
}

/** model.json and its weights, with the entries and file names of tfjs's handlers; read back and compared. */
async function write(artifacts, folder, json, weights, path) {
  const { modelTopology, format, generatedBy, convertedBy, trainingConfig, weightSpecs, weightData } =
    artifacts
  const content = { modelTopology, format, generatedBy, convertedBy }
  content.weightsManifest = [{ paths: [path], weights: weightSpecs }]
  if (trainingConfig !== undefined) content.trainingConfig = trainingConfig
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/${json}`, JSON.stringify(content))
  writeFileSync(`${folder}/${weights}`, Buffer.from(weightData))
}

async function check(folder, json, weights, step) {
  const { modelTopology, weightsManifest } = JSON.parse(readFileSync(`${folder}/${json}`, 'utf8'))
  const bytes = new Uint8Array(readFileSync(`${folder}/${weights}`))
  const specs = weightsManifest[0].weights.filter(({ group }) => group !== 'optimizer')
  const model = await tf.loadLayersModel(
    tf.io.fromMemory({ modelTopology, weightSpecs: specs, weightData: bytes.buffer }),
  )
  const read = recorded(step)
  for (const [layer, names] of Object.entries(LAYERS)) {
    model
      .getLayer(layer)
      .getWeights()
      .forEach((tensor, i) => {
        const [have, want] = [tensor, channelsLast(read(`${layer}.${names[i]}`))].map((one) =>
          Buffer.from(one.dataSync().slice().buffer),
        )
        if (!have.equals(want)) throw new Error(`${folder}/${json}: ${layer} has other numbers`)
      })
  }
}

const model = build()
const folders = ['tfjs-node', 'tfjs-browser', 'tfjs-downloads'].map((id) => `${OUT}/${id}`)
for (const folder of folders) rmSync(folder, { recursive: true, force: true })
const [node, browser, downloads] = folders
for (const step of STEPS) {
  put(model, step)
  await write(await artifactsOf(model), `${node}/step-${step}`, 'model.json', 'weights.bin', 'weights.bin')
  await check(`${node}/step-${step}`, 'model.json', 'weights.bin', step)
  const plain = await artifactsOf(model)
  await write(plain, downloads, `step-${step}.json`, `step-${step}.weights.bin`, `./step-${step}.weights.bin`)
  await check(downloads, `step-${step}.json`, `step-${step}.weights.bin`, step)
}
// With the optimizer and its slots in the same weights file.
model.compile({ optimizer: tf.train.momentum(0.01, 0.5), loss: 'meanSquaredError' })
await model.fit(tf.zeros([2, 6, 6, 1]), tf.zeros([2, 3]), { epochs: 1, verbose: 0 })
for (const step of STEPS) {
  put(model, step)
  const whole = await artifactsOf(model, { includeOptimizer: true })
  await write(whole, `${browser}/step-${step}`, 'model.json', 'model.weights.bin', './model.weights.bin')
  await check(`${browser}/step-${step}`, 'model.json', 'model.weights.bin', step)
}
