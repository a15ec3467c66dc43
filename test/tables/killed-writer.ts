import { ResultsWriter } from '../../src/tables/writer.js'
import { writeMadeUpRun } from './made-up.js'

/** A process that stages parts in the folder it is given, says so, and waits to be killed. */
const writer = await ResultsWriter.create(process.argv[2]!, {
  granularity: 'unit',
  overwrite: true,
  facts: {},
})
writeMadeUpRun(writer, 'unit', 40)
process.stdout.write('staged\n')
setInterval(() => undefined, 1000)
